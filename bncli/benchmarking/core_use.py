"""Warnings of the cores that kernels use, and of what they leave running, each with a remedy."""

from collections.abc import Collection, Iterable, Sequence

from bncli.benchmarking import environment
from bncli.benchmarking.disturbances import Timed, timed_rows, worst
from bncli.core.rows.times import LIMIT, BenchRow
from bncli.core.units import text

MORE = 1.25  # times as many cores as threads: what the system counts is coarse
CHILDREN = 0.1  # cores
LEAST_LATE = 200e-6  # CPU seconds: a pause takes some by itself
SAVED = 0.25  # of these seconds, by which a later backward is faster at least
STILL_BUSY = 0.25  # cores
LONG_PAUSE = 20e-3  # seconds: threads of OpenMP wait for up to 10 ms


def warnings(rows: Iterable[BenchRow], cores: int | None = None) -> list[str]:
    """The warnings on the rows of a whole benchmark, each of the worst case.

    ``cores`` is the number of cores that this process may use, by default the system's answer. Of what a call leaves
    running nothing is said where other processes ran: they delay its threads, which are then taken for busy ones.
    """
    timed = timed_rows(rows)
    cores = cores or environment.usable_cores()
    # The roofline is bound to every count of --threads.
    counts = {row.threads for row, _ in timed if row.direction == LIMIT and row.threads}
    passes = [each for each in timed if each.row.direction != LIMIT]
    alone = [each for each in passes if not each.is_disturbed(cores)]
    found = (_unbound(passes, counts), _children(passes), _late(alone), _still_busy(alone))
    return [warning for warning in found if warning]


def _unbound(rows: Sequence[Timed], counts: Collection[int]) -> str:
    """A kernel that uses more cores than ``--threads`` allows, of the ``counts`` that were asked for."""

    def excess(each: Timed) -> float | None:
        cores, allowed = each.figures.cores, each.row.threads or max(counts, default=0)
        return cores / allowed if cores and allowed else None

    where, more = worst(rows, excess)
    if where is None or more <= MORE:
        return ""
    count = where.row.threads or max(counts)
    why = "its set_threads does not bind them" if where.row.threads else "it has no set_threads"
    return (
        f"{where.name} used {where.figures.cores:.1f} cores with --threads {count}: {why}, so its time is not that of "
        f"{count} thread{'s' * (count > 1)}"
    )


def _children(rows: Sequence[Timed]) -> str:
    where, cores = worst(rows, lambda each: each.figures.children)
    if where is None or cores <= CHILDREN:
        return ""
    return (
        f"processes that kernels started used {cores:.1f} cores while {where.row.problem} was timed: the cores of a "
        "kernel do not include these, and --threads does not bind them"
    )


def _late(rows: Sequence[Timed]) -> str:
    """Work that a forward has put off: it uses CPU time after its return, and a later backward need not wait for it."""

    def late(each: Timed) -> float | None:
        if not (left := each.figures.left):
            return None
        seconds = left.left_after_forward - left.left_after_backward
        saved = left.backward_at_once - left.backward_later
        return seconds if seconds > LEAST_LATE and saved > SAVED * seconds else None

    where, seconds = worst(rows, late)
    if where is None:
        return ""
    return (
        f"{where.row.kernel} goes on with work on {where.row.problem} after forward has returned, for "
        f"{text(seconds, 'seconds')} of CPU time, which no time of forward includes and which slows down what is "
        "timed next: time --pass step"
    )


def _still_busy(rows: Sequence[Timed]) -> str:
    def still_busy(each: Timed) -> float | None:
        left = each.figures.left
        return left.still_busy if left and left.left_in >= LONG_PAUSE else None

    where, cores = worst(rows, still_busy)
    if where is None or cores <= STILL_BUSY:
        return ""
    return (
        f"threads of {where.row.kernel} use {cores:.1f} cores for long after its calls have returned, and slow down "
        "what is timed next: let them sleep, or time it alone"
    )
