"""Refuse what the memory cannot hold before it is asked for: the system might end other processes instead."""

import psutil

from bncli.core.units import text
from bncli.errors import InputError


def require(what: str, needed: int, mend: str) -> None:
    """Raise InputError where ``needed`` bytes are more than are free now, with both figures."""
    free = psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"{what} would take about {text(needed, 'bytes')} of memory and {text(free, 'bytes')} are free: {mend}"
        )
