"""The end of a benchmark: its gate, and the comparison with an earlier run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bncli.benchmarking import gate
from bncli.comparison.compare import compare, told
from bncli.core.report import Report, Row


@dataclass(frozen=True)
class Gate:
    """What a benchmark is held against, and what ends it with exit 1; nothing does without ``fail_slower``.

    That is how many times as long a pass may take: as in ``before``, an earlier run, or without one as the first
    kernel in the same rounds. Times of different machines decide only with ``allow_different_machine``.
    """

    fail_slower: float | None = None
    before: Report | None = None
    allow_different_machine: bool = False


def finish(found: Report, on_workers: Sequence[Row], baseline: str, asked: Gate) -> tuple[Report, Report | None]:
    """``found`` with the rows of kernels ``on_workers`` and the failures that were ``asked`` for.

    ``baseline`` is the first kernel's name. The second report is the comparison with an earlier run, if there is one.
    Raises InputError where that cannot be compared.
    """
    failures: Sequence[str] = ()
    if asked.fail_slower and not asked.before:
        # Workers that are slower than the first kernel fail nothing; those that are wrong do.
        judged = [*found.rows, *(row for row in on_workers if "median" not in row)]
        failures = gate.failures(judged, baseline, asked.fail_slower)
    found = replace(found, rows=[*found.rows, *on_workers], failures=failures)
    if not asked.before:
        return found, None
    comparison = compare(
        asked.before, found, fail_slower=asked.fail_slower, allow_different_machine=asked.allow_different_machine
    )
    return told(found, comparison), comparison
