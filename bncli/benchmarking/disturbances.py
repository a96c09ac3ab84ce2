"""What a reader of times must know of the machine, and what to do about it: a line each."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bncli.benchmarking import environment, timing
from bncli.core.report import Row
from bncli.core.units import text

NOISY = 0.05  # half the width of an interval relative to the median, which is then not known to a tenth
OUTLYING = 0.25  # of the samples: as many begin to move a median
FEWEST = 20  # samples, before a share of them says anything
BUSY = 0.2  # cores that others use: what a quiet system does for itself is less
BUSY_SHARE = 0.02  # of all cores
STOLEN = 0.05  # cores
CLOCK = 0.05  # relative change of its speed
TOO_SHORT = 0.5  # of what a sample should last


def warnings(rows: Iterable[Row], cores: int | None = None) -> list[str]:
    """Of the rows of a whole benchmark: each line says what was wrong, where it was worst, and the remedy.

    ``cores`` are those that this process may use, by default as many as it may.
    """
    timed = [row for row in rows if row.get("samples")]
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


def _busy(rows: Sequence[Row], cores: int) -> str:
    worst = _worst(rows, lambda row: row.get("others"))
    if worst is None or worst["others"] <= max(BUSY, BUSY_SHARE * cores):
        return ""
    return (
        f"other processes used {worst['others']:.1f} of {cores} cores while {worst['problem']} was timed; parallel "
        "kernels then wait for threads that do not run, and may take 100 times as long: "
        "measure on a quiet machine, or with --threads 1"
    )


def _stolen(rows: Sequence[Row]) -> str:
    worst = _worst(rows, lambda row: row.get("stolen"))
    if worst is None or worst["stolen"] <= STOLEN:
        return ""
    return (
        f"the hypervisor gave {worst['stolen']:.2f} cores of this machine to others while {worst['problem']} was "
        "timed: measure on a machine of your own, or repeat and compare"
    )


def _throttled(rows: Sequence[Row]) -> str:
    worst = _worst(rows, lambda row: row.get("throttled"))
    if worst is None or not worst["throttled"]:
        return ""
    return (
        f"the CPU quota of this container stopped the process {worst['throttled']} times while {worst['problem']} "
        "was timed: raise the quota, or bind the kernels to fewer cores with --threads"
    )


def _hot(rows: Sequence[Row]) -> str:
    worst = _worst(rows, lambda row: row.get("hot"))
    if worst is None or not worst["hot"]:
        return ""
    return (
        f"the processor slowed down for its heat {worst['hot']} times while {worst['problem']} was timed: "
        "cool it, or let it rest between runs"
    )


def _clock(rows: Sequence[Row]) -> str:
    worst = _worst(rows, lambda row: row.get("clock_change"))
    if worst is None or worst["clock_change"] <= CLOCK:
        return ""
    return (
        f"the processor's clock changed by {text(worst['clock_change'], 'percent')} while {worst['problem']} was "
        "timed: fix it with the governor 'performance' and without turbo, or give --max-time more"
    )


def _threads(rows: Sequence[Row], cores: int) -> str:
    worst = _worst(rows, lambda row: row.get("threads"))
    if worst is None or worst["threads"] <= cores:
        return ""
    return f"--threads {worst['threads']} is more than the {cores} cores there are: threads take turns; use fewer"


def _noisy(rows: Sequence[Row]) -> str:
    noisy = [row for row in rows if _vagueness(row) > NOISY]
    worst = _worst(noisy, _vagueness)
    if worst is None:
        return ""
    return (
        f"{_count(noisy, rows)} vague: the median of {_name(worst)} is somewhere between "
        f"{text(worst['low'], 'seconds')} and {text(worst['high'], 'seconds')}: give --max-time more, or measure on a "
        "quiet machine"
    )


def _outlying(rows: Sequence[Row]) -> str:
    many = [row for row in rows if _share_of_outliers(row) > OUTLYING]
    worst = _worst(many, _share_of_outliers)
    if worst is None:
        return ""
    return (
        f"{_count(many, rows)} disturbed: {worst['outliers']} of {worst['rounds']} samples of {_name(worst)} are "
        f"outliers, {worst['outliers_why']}; they are kept, and medians hardly see them: "
        "close other programs if there are more than you expect"
    )


def _short(rows: Sequence[Row]) -> str:
    short = [row for row in rows if _sample(row) < TOO_SHORT * timing.SHORTEST_SAMPLE]
    worst = _worst(short, lambda row: -_sample(row))
    if worst is None:
        return ""
    return (
        f"the samples of {_name(worst)} last {text(_sample(worst), 'seconds')}, too short for the clock: the machine "
        "was slower while the calls of a sample were counted: measure again"
    )


def _worst(rows: Iterable[Row], badness: Callable[[Row], Any]) -> Row | None:
    """The row with the greatest ``badness``, of those where it is known."""
    known = [row for row in rows if badness(row) is not None]
    return max(known, key=badness, default=None)


def _vagueness(row: Row) -> float:
    return float((row["high"] - row["low"]) / (2 * row["median"]))


def _share_of_outliers(row: Row) -> float:
    return float(row["outliers"] / row["rounds"]) if row["rounds"] >= FEWEST else 0.0


def _sample(row: Row) -> float:
    """The seconds that a sample lasts."""
    return float(row["median"] * row["calls"])


def _name(row: Row) -> str:
    return f"{row['kernel']} {row['direction']} on {row['problem']}"


def _count(some: Sequence[Row], rows: Sequence[Row]) -> str:
    return f"{len(some)} of {len(rows)} times {'is' if len(some) == 1 else 'are'}"
