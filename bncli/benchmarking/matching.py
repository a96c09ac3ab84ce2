"""Which rows of two runs are of the same thing."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from bncli.core.report import Row
from bncli.errors import InputError

# What tells rows apart, and what is meant where a row does not say: before there was a choice,
# outputs were fresh, caches warm, and the threads a kernel's own.
IDENTITY: Mapping[str, Any] = {
    "problem": None,
    "input": "",
    "kernel": None,
    "direction": None,
    "outputs": "fresh",
    "threads": None,
    "cache": "warm",
}


class Pair(NamedTuple):
    """The rows of the same thing in two runs; None where a run has none."""

    old: Row | None
    new: Row | None


def pairs(old: Iterable[Row], new: Iterable[Row]) -> list[Pair]:
    """Rows that agree in ``IDENTITY``, in the order of ``old``; then what is in ``new`` only.

    Raises InputError where a run has two rows for the same thing.
    """
    before, after = _by_identity(old), _by_identity(new)
    return [Pair(before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]


def identity(row: Row) -> tuple[str, ...]:
    """What tells ``row`` apart from the others of its run."""
    return tuple(str(row.get(name, default)) for name, default in IDENTITY.items())


def _by_identity(rows: Iterable[Row]) -> dict[tuple[str, ...], Row]:
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        key = identity(row)
        if key in found:
            raise InputError(f"two rows are of the same thing, {' '.join(key)}: such a report cannot be compared")
        found[key] = row
    return found
