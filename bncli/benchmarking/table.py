"""The tables of a benchmark: one line per kernel, or one line per pass with every column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bncli.benchmarking.sampling import Stop
from bncli.benchmarking.settings import Settings
from bncli.benchmarking.summary import of_a_pass, variants
from bncli.core.report import Column, Report
from bncli.core.rows.row import Row
from bncli.core.rows.times import LIMIT, BenchRow, median_of
from bncli.core.units import text
from bncli.verification.finding import Verdict

GROUP = ("problem", "input")
NOTES = (Column("note", "note", "note"), Column("reproduce", "reproduce", "command"))
UNTIL = {
    Stop.PRECISE: "until every median was precise",
    Stop.STABLE: "until the noise was stable",
    Stop.TIME: "until --max-time was up",
    Stop.INTERRUPTED: "until it was interrupted",
}
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
    passes: Mapping[str, float | list[float] | None]
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
    median: float | None
    speedup: list[float] | None
    of_limit: float | None
    note: str
    reproduce: str
    sampling: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class DetailedLine(Row):
    """A row of bench whose speed-up is shown with its interval."""

    row: BenchRow
    speedup: list[float] | None


def columns(baseline: str, settings: Settings) -> tuple[Column, ...]:
    """The columns of a row of bench; ratios are relative to ``baseline``."""
    return (
        *of_a_pass(settings),
        Column("verdict", "verdict", "verdict"),
        Column("digits", "digits", "digits"),
        Column("median", "median", "seconds"),
        Column("spread", "±", "percent"),
        Column("speedup", f"vs {baseline}", "times"),
        Column("of_limit", "×limit", "times"),
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
        *NOTES,
    )


def brief(rows: Sequence[BenchRow], baseline: str, settings: Settings) -> Report:
    """A brief table of the ``rows`` of one problem; its last line tells how they were sampled.

    One line per kernel, with median, speed-up ± interval and times the roofline of each pass; one line per pass if
    that would be too wide. If a kernel fails, its verdict replaces the digits.
    """
    crowded = len(settings.directions) > 2 or len(variants(settings)) > 1
    sampling = Column("sampling", "sampling", "note")
    if crowded:
        *lines, last = [_pass_line(row) for row in rows]
        shown = [*lines, replace(last, sampling=_sampling(rows))]
        return Report("bench", (*_columns_by_pass(baseline, settings), sampling), shown, GROUP)
    *kernels, final = _kernel_lines(rows, settings)
    of_kernels = [*kernels, replace(final, sampling=_sampling(rows))]
    return Report("bench", (*_columns_by_kernel(baseline, settings), sampling), of_kernels, GROUP)


def detailed(rows: Sequence[BenchRow], baseline: str, settings: Settings) -> Report:
    """One line per pass with every column, even on a narrow terminal."""
    ends = ("speedup_low", "speedup_high")
    shown = [replace(column, wide=False) for column in columns(baseline, settings) if column.key not in ends]
    shown = [replace(column, kind="ratio") if column.key == "speedup" else column for column in shown]
    return Report("bench", shown, [DetailedLine(row=row, speedup=_ratio(row)) for row in rows], GROUP)


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
        cache=row.cache, threads=row.threads, digits=_worse(None, row), median=median_of(row),
        speedup=_ratio(row), of_limit=row.of_limit, note=row.note, reproduce=row.reproduce or "",
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
    passes: dict[str, float | list[float] | None] = {}
    digits: Digits = None
    for row in rows:
        digits = _worse(digits, row)
        median = median_of(row)
        if row.direction == LIMIT:
            passes |= {name: median for name in settings.directions if row.kernel.startswith(_operation(name))}
        else:
            passes |= {
                row.direction: median,
                f"{row.direction} speedup": _ratio(row),
                f"{row.direction} of limit": row.of_limit,
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
    """The number of samples, the reason why sampling stopped, and the noise, as text."""
    timed = [row.figures for row in rows if row.figures and row.figures.rounds]
    if not timed:
        return ""
    floors = [figures.noise_floor for figures in timed if figures.noise_floor is not None]
    noise = f"; noise {text(max(floors), 'percent')}" if floors else ""
    first = timed[0]
    of = f" of {len(first.processes)} processes" if len(first.processes) > 1 else ""
    return f"{first.rounds:,} samples each{of}, {UNTIL[Stop(first.stopped or '')]}{noise}"


def _worse(known: Digits, row: BenchRow) -> Digits:
    """The digits of a line with another row added: the fewer of the two, or a failing verdict in their place."""
    if isinstance(known, str) or row.judged is None:
        return known
    if Verdict(row.judged.verdict).fails:
        return row.judged.verdict
    digits = row.judged.digits or 0.0
    return digits if known is None else min(digits, known)


def _ratio(row: BenchRow) -> list[float] | None:
    return row.against_first.ratio if row.against_first else None


def _operation(direction: str) -> str:
    # Imported here: Numba takes long to import.
    from bncli.benchmarking import roofline

    return roofline.OPERATION[direction]
