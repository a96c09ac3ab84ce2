"""Refuse too large arrays before they are allocated: otherwise the system might end processes."""

import sys
from contextlib import suppress

import psutil

from bncli.core.units import text
from bncli.errors import InputError


def require(what: str, needed: int, hint: str) -> None:
    """Raise InputError, with both figures and the ``hint``, if ``needed`` bytes are more than are free."""
    if needed > (available := free()):
        raise InputError(
            f"{what} would take about {text(needed, 'bytes')} of memory and {text(available, 'bytes')} are free: {hint}"
        )


def free() -> int:
    """The bytes of memory that are free; ``sys.maxsize`` if the system does not report it."""
    return facts()["memory_available"] or sys.maxsize


def facts() -> dict[str, int | None]:
    """The bytes of memory and those of them that are free; None where the system, without a /proc, reports nothing."""
    with suppress(OSError):
        memory = psutil.virtual_memory()
        return {"memory": memory.total, "memory_available": memory.available}
    return {"memory": None, "memory_available": None}
