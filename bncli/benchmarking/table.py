"""The tables of a benchmark: one line per kernel, or one line per pass with every column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bncli.benchmarking import gate
from bncli.benchmarking.sampling import Stop
from bncli.benchmarking.settings import Settings
from bncli.benchmarking.summary import of_a_pass, variants
from bncli.core.report import Column, Report
from bncli.core.rows.row import Row
from bncli.core.rows.times import LIMIT, BenchRow, median_of
from bncli.core.units import UNRELIABLE, is_unreliable, text
from bncli.verification.finding import Verdict

GROUP = ("problem", "input")
NOTES = (Column("note", "note", "note"), Column("reproduce", "reproduce", "command"))
SAMPLING = Column("sampling", "sampling", "note")
UNTIL = {
    Stop.PRECISE: "until every median was precise",
    Stop.STABLE: "until the noise was stable",
    Stop.TIME: "until --max-time was up",
    Stop.DECIDED: "until every ratio was decided",
    Stop.GATE_TIME: "until --gate-time was up",
    Stop.INTERRUPTED: "until it was interrupted",
}
Shown = float | list[float] | None  # a value, alone or with the ends of its interval
Digits = float | str | None  # a failing verdict is shown in place of the digits


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelLine(Row):
    """A kernel or the memory roofline; ``passes`` has median, speed-up and times the roofline of each pass."""

    problem: str
    input: str
    kernel: str
    outputs: str | None
    cache: str
    threads: int | None
    digits: Digits
    passes: Mapping[str, Shown]
    note: str
    reproduce: str
    sampling: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class PassLine(Row):
    """A pass of a kernel, or a memory roofline."""

    problem: str
    input: str
    kernel: str
    direction: str
    outputs: str | None
    cache: str
    threads: int | None
    digits: Digits
    median: Shown
    speedup: Shown
    of_limit: Shown
    note: str
    reproduce: str
    sampling: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class DetailedLine(Row):
    """A row of bench, and on the last one how the problem was sampled."""

    row: BenchRow
    sampling: str = ""


def columns(baseline: str, settings: Settings) -> tuple[Column, ...]:
    """The columns of a row of bench; ratios are relative to ``baseline``."""
    return (
        *of_a_pass(settings),
        Column("verdict", "verdict", "verdict"),
        Column("digits", "digits", "digits"),
        Column("median", "median", "seconds", ends=("low", "high")),
        Column("spread", "±", "percent"),
        Column("speedup", f"vs {baseline}", "times", ends=("speedup_low", "speedup_high")),
        Column("of_limit", "×limit", "times", ends=("of_limit_low", "of_limit_high")),
        Column("of_attainable", "×attainable", "times", wide=True),
        Column("bandwidth", "GB/s", "bytes/s"),
        Column("bytes", "must move", "bytes", wide=True),
        Column("memory_passes", "passes", "times", wide=True),
        Column("low", "from", "seconds", wide=True),
        Column("high", "to", "seconds", wide=True),
        Column("speedup_low", "speed-up from", "times", wide=True),
        Column("speedup_high", "to", "times", wide=True),
        Column("noise_floor", "noise", "percent", wide=True),
        Column("outliers", "outliers", "count", wide=True),
        Column("stopped", "stopped", wide=True),
        Column("first", "first call", "seconds", wide=True),
        Column("minimum", "min", "seconds", wide=True),
        Column("rounds", "samples", "count", wide=True),
        Column("calls", "calls each", "count", wide=True),
        Column("way", "way", wide=True),
        Column("cores", "cores", "number", wide=True),
        *NOTES,
    )


def brief(rows: Sequence[BenchRow], baseline: str, settings: Settings) -> Report:
    """A brief table of the ``rows`` of one problem; its last line tells how they were sampled.

    One line per kernel, with median, speed-up ± interval and times the roofline of each pass; one line per pass if
    that would be too wide. If a kernel fails, its verdict replaces the digits.
    """
    crowded = len(settings.directions) > 2 or len(variants(settings)) > 1
    if crowded:
        *lines, last = [_pass_line(row) for row in rows]
        shown = [*lines, replace(last, sampling=_sampling(rows))]
        return Report("bench", (*_columns_by_pass(baseline, settings), SAMPLING), shown, GROUP)
    *kernels, final = _kernel_lines(rows, settings)
    of_kernels = [*kernels, replace(final, sampling=_sampling(rows))]
    return Report("bench", (*_columns_by_kernel(baseline, settings), SAMPLING), of_kernels, GROUP)


def detailed(rows: Sequence[BenchRow], baseline: str, settings: Settings) -> Report:
    """One line per pass with every column, even on a narrow terminal."""
    ends = ("speedup_low", "speedup_high")
    shown = [replace(column, wide=False) for column in columns(baseline, settings) if column.key not in ends]
    shown = [replace(column, kind="ratio") if column.key == "speedup" else column for column in shown]
    *lines, last = [DetailedLine(row=row) for row in rows]
    return Report("bench", (*shown, SAMPLING), [*lines, replace(last, sampling=_sampling(rows))], GROUP)


def _columns_by_pass(baseline: str, settings: Settings) -> tuple[Column, ...]:
    return (
        *of_a_pass(settings),
        Column("digits", "digits", "digits"),
        Column("median", "median", "seconds"),
        Column("speedup", f"vs {baseline}", "ratio"),
        Column("of_limit", "×limit", "times"),
        *NOTES,
    )


def _pass_line(row: BenchRow) -> PassLine:
    return PassLine(
        problem=row.problem, input=row.input, kernel=row.kernel, direction=row.direction, outputs=row.outputs,
        cache=row.cache, threads=row.threads, digits=_worse(None, row), median=_median(row),
        speedup=_ratio(row), of_limit=_of_limit(row), note=row.note, reproduce=row.reproduce or "",
    )  # fmt: skip


def _columns_by_kernel(baseline: str, settings: Settings) -> tuple[Column, ...]:
    passes = (
        column
        for name in settings.directions
        for column in (
            Column(name, name, "seconds"),
            Column(f"{name} speedup", f"vs {baseline}", "ratio"),
            Column(f"{name} of limit", "×limit", "times"),
        )
    )
    return Column("kernel", "kernel"), *variants(settings), Column("digits", "digits", "digits"), *passes, *NOTES


def _kernel_lines(rows: Sequence[BenchRow], settings: Settings) -> list[KernelLine]:
    groups: dict[tuple[object, ...], list[BenchRow]] = {}
    for row in rows:
        place = row.problem, row.input, row.outputs, row.cache, row.threads, row.device
        groups.setdefault((_name(row), *place), []).append(row)
    return [_kernel_line(group, settings) for group in groups.values()]


def _kernel_line(rows: Sequence[BenchRow], settings: Settings) -> KernelLine:
    """One line for the rows of a kernel or of the memory roofline; its digits are the fewest of all passes."""
    first = rows[0]
    passes: dict[str, Shown] = {}
    digits: Digits = None
    for row in rows:
        digits = _worse(digits, row)
        median = _median(row)
        if row.direction == LIMIT:
            for name in settings.directions:
                if row.kernel.partition(" ")[0] in _operations(name):
                    passes[name] = _sum(passes.get(name), median)  # a step has two operations
        else:
            passes |= {
                row.direction: median,
                f"{row.direction} speedup": _ratio(row),
                f"{row.direction} of limit": _of_limit(row),
            }
    return KernelLine(
        problem=first.problem, input=first.input, kernel=_name(first),
        outputs=first.outputs, cache=first.cache, threads=first.threads, digits=digits, passes=passes,
        note=next((row.note for row in rows if row.note), ""),
        reproduce=next((row.reproduce for row in rows if row.reproduce), ""),
    )  # fmt: skip


def _name(row: BenchRow) -> str:
    if row.direction != LIMIT:
        return row.kernel
    return f"{LIMIT} on {row.device}" if row.device else LIMIT


def _sampling(rows: Sequence[BenchRow]) -> str:
    """The number of samples, the reason why sampling stopped, the noise, and what a gate would have seen, as text."""
    timed = [row.figures for row in rows if row.figures and row.figures.rounds]
    if not timed:
        return ""
    floors = [figures.noise_floor for figures in timed if figures.noise_floor is not None]
    noise = f"; noise {text(max(floors), 'percent')}" if floors else ""
    counts = [figures.rounds for figures in timed]
    samples = " to ".join(f"{count:,}" for count in dict.fromkeys((min(counts), max(counts))))
    of = f" of {len(timed[0].processes)} processes" if len(timed[0].processes) > 1 else ""
    until = UNTIL[Stop(timed[0].stopped or "")]
    unreliable = "NOT RELIABLE: " if _are_unreliable(rows, max(floors, default=0.0)) else ""
    return (
        f"{unreliable}{samples} samples each{of}, {until}{noise}{gate.seen([row.gated for row in rows if row.gated])}"
    )


def _are_unreliable(rows: Sequence[BenchRow], noise: float) -> bool:
    """Whether an interval, or the ratio of two timings of the same code, spans more than a factor of 2."""
    return 1 + noise > UNRELIABLE or any(
        is_unreliable(value) for row in rows for value in (_median(row), _ratio(row), _of_limit(row))
    )


def _worse(known: Digits, row: BenchRow) -> Digits:
    """The digits of a line with another row added: the fewer of the two, or a failing verdict in their place."""
    if isinstance(known, str) or row.judged is None:
        return known
    if Verdict(row.judged.verdict).fails:
        return row.judged.verdict
    digits = row.judged.digits or 0.0
    return digits if known is None else min(digits, known)


def _median(row: BenchRow) -> Shown:
    figures = row.figures
    if figures is None or figures.median is None or figures.low is None or figures.high is None:
        return median_of(row)
    return [figures.median, figures.low, figures.high]


def _sum(first: Shown, second: Shown) -> Shown:
    """The sum of two medians, with the sums of the ends of their intervals; None counts as nothing."""
    if first is None or second is None:
        return second if first is None else first
    ends = ([each] if isinstance(each, float) else each for each in (first, second))
    return [sum(pair) for pair in zip(*ends, strict=True)]


def _ratio(row: BenchRow) -> Shown:
    return row.against_first.ratio if row.against_first else None


def _of_limit(row: BenchRow) -> Shown:
    if row.of_limit is None or row.of_limit_low is None or row.of_limit_high is None:
        return row.of_limit
    return [row.of_limit, row.of_limit_low, row.of_limit_high]


def _operations(direction: str) -> tuple[str, ...]:
    # Imported here: Numba takes long to import.
    from bncli.benchmarking import roofline

    return roofline.OPERATIONS[direction]
