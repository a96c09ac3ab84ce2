"""Which rows of two runs are of the same thing."""

from collections.abc import Iterable
from typing import NamedTuple

from bncli.core.report import Row
from bncli.core.rows import IDENTITY


class Pair(NamedTuple):
    """The rows of the same thing in two runs; None where a run has none."""

    old: Row | None
    new: Row | None


def pairs(old: Iterable[Row], new: Iterable[Row]) -> list[Pair]:
    """Rows that agree in ``IDENTITY``, in the order of ``old``; then what is in ``new`` only.

    Of a run's rows no two are of the same thing.
    """
    before, after = ({identity(row): row for row in rows} for rows in (old, new))
    return [Pair(before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]


def identity(row: Row) -> tuple[str, ...]:
    """What tells ``row`` apart from the others of its run."""
    return tuple(str(row.get(name, default)) for name, default in IDENTITY.items())
