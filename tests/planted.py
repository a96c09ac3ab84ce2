"""Rows of planted values, as the classes that bncli has for them."""

from bncli.comparison import saved
from bncli.core.report import Report


def typed(rows, command="bench"):
    """Plain dictionaries as rows of ``command``; rows stay as they are."""
    return list(saved.typed(Report(command, (), list(rows)), "planted").rows)


def bench_row(**values):
    """A row of bench with these values, and what it cannot be without."""
    (row,) = typed(
        [{"problem": "5x3/per-activation/float32/eps=1e-05", "kernel": "k", "direction": "forward", **values}]
    )
    return row
