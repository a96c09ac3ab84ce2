"""Refuse too large arrays before they are allocated: otherwise the system might end processes."""

import psutil

from bncli.core.units import text
from bncli.errors import InputError


def require(what: str, needed: int, hint: str) -> None:
    """Raise InputError, with both figures and the ``hint``, if ``needed`` bytes are more than are free."""
    free = psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"{what} would take about {text(needed, 'bytes')} of memory and {text(free, 'bytes')} are free: {hint}"
        )
