"""Warnings of disturbances while kernels were timed, each with a remedy."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from bncli.benchmarking import environment, timing
from bncli.core.rows.times import BenchRow, Figures
from bncli.core.units import text

NOISY = 0.05  # half the width of an interval relative to the median: a median with a wider one is vague
OUTLYING = 0.25  # of the samples: a larger share begins to move the median
FEWEST = 20  # samples, for a meaningful share of outliers
BUSY = 0.2  # cores that other processes use: a quiet system uses fewer
BUSY_SHARE = 0.02  # of all cores
STOLEN = 0.05  # cores
CLOCK = 0.05  # relative change of the clock's speed
TOO_SHORT = 0.5  # of the shortest sample that is intended


class Timed(NamedTuple):
    """A row with its figures."""

    row: BenchRow
    figures: Figures

    @property
    def name(self) -> str:
        """The kernel, its pass and the problem, as text."""
        return f"{self.row.kernel} {self.row.direction} on {self.row.problem}"

    @property
    def vagueness(self) -> float:
        """Half the width of the median's interval relative to the median."""
        low, median, high = self.figures.low, self.figures.median, self.figures.high
        return (high - low) / (2 * median) if low and median and high else 0.0

    @property
    def share_of_outliers(self) -> float:
        """The share of outliers among the samples; 0 if samples are too few."""
        return (self.figures.outliers or 0) / self.figures.rounds if self.figures.rounds >= FEWEST else 0.0

    def is_disturbed(self, cores: int) -> bool:
        """Whether other processes, or the hypervisor, used more of the ``cores`` than on a quiet machine."""
        return (self.figures.others or 0.0) > quiet(cores) or (self.figures.stolen or 0.0) > STOLEN

    @property
    def sample(self) -> float:
        """The duration of a sample in seconds."""
        return (self.figures.median or 0.0) * self.figures.calls


def warnings(rows: Iterable[BenchRow], cores: int | None = None) -> list[str]:
    """The warnings on the rows of a whole benchmark: each gives the disturbance, its worst case, and the remedy.

    ``cores`` is the number of cores that this process may use, by default the system's answer.
    """
    timed = timed_rows(rows)
    cores = cores or environment.usable_cores()
    found = [
        _busy(timed, cores),
        _stolen(timed),
        _throttled(timed),
        _hot(timed),
        _clock(timed),
        _threads(timed, cores),
        _noisy(timed),
        _outlying(timed),
        _short(timed),
    ]
    return [warning for warning in found if warning]


def quiet(cores: int) -> float:
    """How many of the ``cores`` the other processes of a quiet machine use at most."""
    return max(BUSY, BUSY_SHARE * cores)


def timed_rows(rows: Iterable[BenchRow]) -> list[Timed]:
    """The rows that have samples, with their figures."""
    return [Timed(row, row.figures) for row in rows if row.figures and row.figures.samples]


def _busy(rows: Sequence[Timed], cores: int) -> str:
    where, others = worst(rows, lambda each: each.figures.others)
    if where is None or others <= quiet(cores):
        return ""
    of = where.figures.others_of or max(cores, others)
    return (
        f"other processes used {others:.1f} of {of:.3g} cores while {where.row.problem} was timed; parallel "
        "kernels then wait for descheduled threads, and may take 100 times as long: "
        "measure on a quiet machine, or with --threads 1"
    )


def _stolen(rows: Sequence[Timed]) -> str:
    where, stolen = worst(rows, lambda each: each.figures.stolen)
    if where is None or stolen <= STOLEN:
        return ""
    return (
        f"the hypervisor gave {stolen:.2f} cores of this machine to other machines while {where.row.problem} was "
        "timed: measure on a machine of your own, or repeat and compare"
    )


def _throttled(rows: Sequence[Timed]) -> str:
    where, times = worst(rows, lambda each: each.figures.throttled)
    if where is None or not times:
        return ""
    return (
        f"the CPU quota of this container stopped the process {times:.0f} times while {where.row.problem} "
        "was timed: raise the quota, or bind the kernels to fewer cores with --threads"
    )


def _hot(rows: Sequence[Timed]) -> str:
    where, times = worst(rows, lambda each: each.figures.hot)
    if where is None or not times:
        return ""
    return (
        f"the processor slowed down for its heat {times:.0f} times while {where.row.problem} was timed: "
        "cool it, or let it rest between runs"
    )


def _clock(rows: Sequence[Timed]) -> str:
    where, change = worst(rows, lambda each: each.figures.clock_change)
    if where is None or change <= CLOCK:
        return ""
    return (
        f"the processor's clock changed by {text(change, 'percent')} while {where.row.problem} was "
        "timed: fix it with the governor 'performance' and without turbo, or give --max-time more"
    )


def _threads(rows: Sequence[Timed], cores: int) -> str:
    where, threads = worst(rows, lambda each: each.row.threads)
    if where is None or threads <= cores:
        return ""
    return f"--threads {threads:.0f} exceeds the {cores} usable cores, so threads wait for each other: use fewer"


def _noisy(rows: Sequence[Timed]) -> str:
    noisy = [each for each in rows if each.vagueness > NOISY]
    where, _ = worst(noisy, lambda each: each.vagueness)
    if where is None:
        return ""
    return (
        f"{_count(noisy, rows)} vague: the median of {where.name} is between "
        f"{text(where.figures.low, 'seconds')} and {text(where.figures.high, 'seconds')}: "
        "give --max-time more, or measure on a quiet machine"
    )


def _outlying(rows: Sequence[Timed]) -> str:
    many = [each for each in rows if each.share_of_outliers > OUTLYING]
    where, _ = worst(many, lambda each: each.share_of_outliers)
    if where is None:
        return ""
    return (
        f"{_count(many, rows)} disturbed: {where.figures.outliers} of {where.figures.rounds} samples of {where.name} "
        f"are outliers, {where.figures.outliers_why}; medians hardly change with them: "
        "close other programs, or measure on a quiet machine"
    )


def _short(rows: Sequence[Timed]) -> str:
    short = [each for each in rows if each.sample < TOO_SHORT * timing.SHORTEST_SAMPLE]
    where, _ = worst(short, lambda each: -each.sample)
    if where is None:
        return ""
    return (
        f"the samples of {where.name} last {text(where.sample, 'seconds')}, too short for the clock, because the "
        "machine was slower during calibration: measure again"
    )


def worst(rows: Iterable[Timed], badness: Callable[[Timed], float | None]) -> tuple[Timed | None, float]:
    """The row with the greatest known ``badness``, and that badness; None and 0 if none is known."""
    known = [(each, bad) for each in rows if (bad := badness(each)) is not None]
    return max(known, key=lambda pair: pair[1], default=(None, 0.0))


def _count(some: Sequence[Timed], rows: Sequence[Timed]) -> str:
    return f"{len(some)} of {len(rows)} times {'is' if len(some) == 1 else 'are'}"
