"""The tables of a benchmark: a line a kernel for people, or a line a pass with every detail."""

from collections.abc import Sequence
from dataclasses import replace

from bncli.benchmarking.measuring import Settings
from bncli.benchmarking.passes import LIMIT
from bncli.benchmarking.sampling import Stop
from bncli.benchmarking.summary import of_a_pass, variants
from bncli.core.report import Column, Report
from bncli.core.report import Row as AnyRow
from bncli.core.units import text
from bncli.verification.finding import Verdict
from bncli.verification.finding_rows import Row

GROUP = ("problem", "input")
# What tells the rows of a kernel's pass apart, beside the pass.
VARIANTS = ("outputs", "cache", "threads")
INTERVAL = ("speedup", "speedup_low", "speedup_high")
NOTES = (Column("note", "note", "note"), Column("reproduce", "reproduce", "command"))
ENOUGH = {
    Stop.PRECISE: "until every median was precise",
    Stop.STABLE: "until the noise was stable",
    Stop.TIME: "until --max-time was up",
    Stop.INTERRUPTED: "until it was interrupted",
}


def brief(rows: Sequence[AnyRow], baseline: str, settings: Settings) -> Report:
    """The ``rows`` of one problem at a glance, the last line saying how they were sampled.

    A line a kernel, with the median, the speed-up with its interval, and times the limit of each pass; where that
    would be too wide, a line a pass. Where a kernel is not verified, the verdict stands for the digits.
    """
    crowded = len(settings.directions) > 2 or len(variants(settings)) > 1
    report = _by_pass(rows, baseline, settings) if crowded else _by_kernel(rows, baseline, settings)
    lines = [line | {"sampling": ""} for line in map(dict, report.rows)]
    lines[-1]["sampling"] = _sampling(rows)
    return replace(report, columns=(*report.columns, Column("sampling", "sampling", "note")), rows=lines)


def detailed(rows: Sequence[AnyRow], columns: Sequence[Column]) -> Report:
    """A line a pass, with all of ``columns`` however narrow the terminal."""
    shown = [replace(column, wide=False) for column in columns if column.key not in INTERVAL[1:]]
    shown = [replace(column, kind="ratio") if column.key == INTERVAL[0] else column for column in shown]
    return Report("bench", shown, [{**row, INTERVAL[0]: _with_interval(row)} for row in rows], GROUP)


def _by_pass(rows: Sequence[AnyRow], baseline: str, settings: Settings) -> Report:
    columns = (
        *of_a_pass(settings),
        Column("digits", "digits", "digits"),
        Column("median", "median", "seconds"),
        Column("speedup", f"vs {baseline}", "ratio"),
        Column("of_limit", "×limit", "times"),
        *NOTES,
    )
    lines = [{**row, "digits": _worse(None, row), "speedup": _with_interval(row)} for row in rows]
    return Report("bench", columns, lines, GROUP)


def _by_kernel(rows: Sequence[AnyRow], baseline: str, settings: Settings) -> Report:
    """The digits are the fewest of the passes; the last line is the memory's limit itself."""
    lines: dict[tuple[object, ...], Row] = {}
    for row in rows:
        limit = row["direction"] == LIMIT
        key = (*(row.get(name) for name in GROUP), LIMIT if limit else row["kernel"], *map(row.get, VARIANTS))
        line = lines.setdefault(key, dict(zip((*GROUP, "kernel", *VARIANTS), key, strict=True)))
        if limit:
            line |= {name: row["median"] for name in settings.directions if row["kernel"] == _operation(name)}
        else:
            line |= _of_pass(row, line)
    columns = (
        Column("kernel", "kernel"),
        *variants(settings),
        Column("digits", "digits", "digits"),
        *(column for name in settings.directions for column in _columns(name, baseline)),
        *NOTES,
    )
    return Report("bench", columns, [dict.fromkeys(("note", "reproduce"), "") | line for line in lines.values()], GROUP)


def _columns(direction: str, baseline: str) -> tuple[Column, ...]:
    return (
        Column(direction, direction, "seconds"),
        Column(f"{direction} speedup", f"vs {baseline}", "ratio"),
        Column(f"{direction} of limit", "×limit", "times"),
    )


def _sampling(rows: Sequence[AnyRow]) -> str:
    """How many samples there are, why no more, and the noise."""
    timed = next((row for row in rows if row.get("rounds")), None)
    if timed is None:
        return ""
    floors = [row["noise_floor"] for row in rows if row.get("noise_floor") is not None]
    noise = f"; noise {text(max(floors), 'percent')}" if floors else ""
    number = len(timed.get("processes", ()))
    of = f" of {number} processes" if number > 1 else ""
    return f"{timed['rounds']:,} samples each{of}, {ENOUGH[Stop(timed['stopped'])]}{noise}"


def _of_pass(row: AnyRow, line: Row) -> Row:
    """What a row of a pass adds to its kernel's line."""
    name = row["direction"]
    return {
        "digits": _worse(line.get("digits"), row),
        "note": line.get("note") or row["note"],
        "reproduce": line.get("reproduce") or row["reproduce"],
        name: row.get("median"),
        f"{name} speedup": _with_interval(row),
        f"{name} of limit": row.get("of_limit"),
    }


def _worse(known: float | str | None, row: AnyRow) -> float | str | None:
    """The digits that a line shows after another row: the fewer, or a verdict in their place."""
    if isinstance(known, str) or row.get("verdict") is None:
        return known
    if row["verdict"] != Verdict.PASS:
        return str(row["verdict"])
    digits = float(row["digits"])
    return digits if known is None else min(digits, known)


def _with_interval(row: AnyRow) -> list[float] | None:
    """The speed-up and the ends of its interval; of a row without one, three times the speed-up."""
    value = row.get(INTERVAL[0])
    return None if value is None else [value if (found := row.get(key)) is None else found for key in INTERVAL]


def _operation(direction: str) -> str:
    # Not before there is a limit to show: Numba takes long to import.
    from bncli.benchmarking import roofline

    return roofline.OPERATION[direction]
