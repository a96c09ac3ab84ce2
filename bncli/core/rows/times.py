"""The rows of bench."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from msgspec import Meta

from bncli.core.rows.row import Row, optional

FRESH, WARM = "fresh", "warm"  # the defaults of outputs and caches
LIMIT = "limit"  # in place of a pass in the rows of the memory roofline

# What a saved value must be within to be one: beyond, it was not measured.
Seconds = Annotated[float, Meta(ge=1e-12, le=1e9)]
Positive = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1e9)]
Cores = Annotated[float, Meta(ge=0, le=1e6)]


class Identity(NamedTuple):
    """The fields that identify a row of one run of bench; ``threads`` is None if the kernel chooses them."""

    problem: str
    input: str
    kernel: str
    direction: str
    outputs: str = FRESH
    threads: int | None = None
    cache: str = WARM

    def options(self) -> dict[str, Any]:
        """The options of bench that were not at their defaults."""
        asked = {"outputs": self.outputs, "threads": self.threads, "cache": self.cache}
        return {name: how for name, how in asked.items() if how != self._field_defaults[name]}


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement(Row):
    """The verdict and digits of a pass, and the seconds of its ``first`` call.

    ``only_bench`` if the failure is one of timed calls, which the other checks do not make.
    """

    MARK = "verdict"

    verdict: str
    digits: float | None = None
    first: float | None = None
    only_bench: bool | None = optional()


@dataclass(frozen=True, kw_only=True, eq=False)
class LeftRunning(Row):
    """CPU seconds that the process used in ``left_in`` seconds after a forward and after a backward.

    ``still_busy`` is the number of cores that it used at the end of this pause. ``backward_at_once`` and
    ``backward_later`` are the seconds of a backward right after its forward, and after that pause.
    """

    left_after_forward: float
    left_after_backward: float
    left_in: float
    still_busy: float
    backward_at_once: float
    backward_later: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Figures(Row):
    """The figures of a pass or of the memory roofline; ``samples`` are seconds per call, one per round.

    ``low`` and ``high`` are the ends of the median's 95 % interval. ``clock`` and ``meeting`` are medians of the same
    rounds: of a chain of dependent operations, and of the fork-join latency. ``others`` and ``stolen`` are the cores
    that other processes and the hypervisor used, ``others_of`` those that others and this process share, and
    ``children`` those of processes that this one has started. ``processes`` has the number of samples of each process.
    ``cores`` is the CPU time of the process relative to the time, and ``cpu_time`` that per call. ``pool`` is the
    number of forwards that were ready at once for a backward, and ``left`` what forward leaves running.
    """

    stopped: str | None = None
    clock: Seconds | None = None
    meeting: Seconds | None = None
    clock_change: float | None = None
    processes: Sequence[Positive] = ()
    others: Cores | None = None
    others_of: Cores | None = optional()
    children: Cores | None = optional()
    stolen: float | None = None
    throttled: int | None = None
    hot: int | None = None
    median: Seconds | None = None
    low: Seconds | None = None
    high: Seconds | None = None
    spread: float | None = None
    bandwidth: float | None = None
    minimum: float | None = None
    outliers: int | None = None
    outliers_why: str = ""
    rounds: int = 0
    calls: int = 1
    samples: Sequence[Seconds] = ()
    copies: int | None = optional()
    way: str | None = optional()
    cores: Cores | None = optional()
    cpu_time: float | None = optional()
    pool: Positive | None = optional()
    left: LeftRunning | None = optional()
    noise_floor: Share | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Speedup(Row):
    """The speed-up over the first kernel, with its 95 % interval if there is one."""

    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None

    @property
    def ratio(self) -> list[float] | None:
        """The value and the ends of its interval; without an interval, three times the value."""
        if self.speedup is None:
            return None
        return [self.speedup if each is None else each for each in (self.speedup, self.speedup_low, self.speedup_high)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Gated(Row):
    """The verdict of the gate on a pass: PASS, SLOWER or UNSURE; and the least slowdown that would have been seen."""

    MARK = "gate"

    gate: str
    gate_seen: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared(Row):
    """The comparison of a row with an earlier result: see ``ComparisonRow``."""

    baseline: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    ratio_beside: str | None = None
    compared: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class BenchRow(Row):
    """One pass of a kernel on a problem; or, where ``direction`` is ``LIMIT``, one operation of the memory roofline.

    In rows of the roofline, ``kernel`` is the operation, copy or add. ``bytes`` are the bytes that the pass must move.
    ``of_limit`` is the time divided by the roofline's; ``of_attainable`` is that, too, but where x must be read twice
    (see ``bncli.benchmarking.attainable``) it is divided by a longer time. ``memory_passes`` is the number of arrays of
    x's size that the memory can move in that time. ``device`` is None for the CPU; another device has a roofline of its
    own. ``rerun`` is the command line that times it again, ``sweep`` the sweep it belongs to.
    """

    problem: str
    input: str = ""
    kernel: str
    direction: str
    cache: str = WARM
    threads: Positive | None = None
    device: str | None = optional()
    bytes: int | None = None
    note: str = ""
    outputs: str | None = optional()
    judged: Judgement | None = optional()
    figures: Figures | None = optional()
    of_limit: float | None = optional()
    of_limit_low: float | None = optional()
    of_limit_high: float | None = optional()
    of_attainable: float | None = optional()
    memory_passes: float | None = optional()
    against_first: Speedup | None = optional()
    rerun: str | None = optional()
    reproduce: str | None = optional()
    sweep: str | None = optional()
    gated: Gated | None = optional()
    compared: Compared | None = optional()

    @property
    def identity(self) -> Identity:
        """What distinguishes this row from the others of its run."""
        outputs = self.outputs or FRESH
        return Identity(self.problem, self.input, self.kernel, self.direction, outputs, self.threads, self.cache)


@dataclass(frozen=True, kw_only=True, eq=False)
class WorkersRow(Row):
    """One pass of the kernel dask on a cluster of ``workers``; ``sending`` is the seconds that sending x and dy took.

    ``speedup`` is relative to the first cluster, ``efficiency`` is the speed-up per worker, ``versus`` is the speed-up
    over the first kernel. ``compute``, ``transfer`` and ``scheduling`` are shares of the workers' time.
    """

    MARK = "workers"

    problem: str
    input: str = ""
    kernel: str
    workers: int
    direction: str
    judged: Judgement
    sending: float | None = None
    figures: Figures | None = optional()
    speedup: float | None = optional()
    efficiency: float | None = optional()
    versus: float | None = optional()
    compute: float | None = optional()
    transfer: float | None = optional()
    scheduling: float | None = optional()
    compared: Compared | None = optional()

    @property
    def identity(self) -> Identity:
        """What distinguishes this row from the others of its run."""
        return Identity(self.problem, self.input, self.kernel, self.direction)


TimedRow = BenchRow | WorkersRow


def timed_rows(rows: Iterable[Any]) -> list[TimedRow]:
    """The rows of bench among ``rows``."""
    return [row for row in rows if isinstance(row, BenchRow | WorkersRow)]


def median_of(row: TimedRow) -> float | None:
    """The median of a row, in seconds per call; None if it has no time."""
    return row.figures.median if row.figures else None


def samples_of(row: TimedRow | None) -> Sequence[float]:
    """The samples of a row, in seconds per call; empty if there is no row, or no time."""
    return row.figures.samples if row and row.figures else ()
