"""The tables of a benchmark: a line a kernel for people, or a line a pass with every detail."""

from collections.abc import Sequence
from dataclasses import replace

from bncli.benchmarking.passes import LIMIT
from bncli.core.report import Column, Report
from bncli.core.report import Row as AnyRow
from bncli.reports._measuring import Settings
from bncli.reports._rows import Row
from bncli.reports._summary import variants
from bncli.verification.finding import Verdict

GROUP = ("problem", "input")
# What tells the rows of a kernel's pass apart, beside the pass.
VARIANTS = ("outputs", "cache", "threads")
INTERVAL = ("speedup", "speedup_low", "speedup_high")


def brief(rows: Sequence[AnyRow], baseline: str, settings: Settings) -> Report:
    """A line a kernel: each pass with its median, the speed-up with its interval, and times the limit.

    ``rows`` have one for each pass. The digits are the fewest of its passes; where one is not verified, the verdict
    stands for them. The last line is the memory's limit itself.
    """
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
        *(
            column
            for name in settings.directions
            for column in _columns(name, baseline, crowded=len(settings.directions) > 2)
        ),
        Column("reproduce", "reproduce", "command"),
    )
    return Report("bench", columns, [_filled(line, columns) for line in lines.values()], GROUP)


def detailed(rows: Sequence[AnyRow], columns: Sequence[Column]) -> Report:
    """A line a pass, with all of ``columns`` however narrow the terminal."""
    shown = [replace(column, wide=False) for column in columns if column.key not in INTERVAL[1:]]
    shown = [replace(column, kind="ratio") if column.key == INTERVAL[0] else column for column in shown]
    return Report("bench", shown, [{**row, INTERVAL[0]: _with_interval(row)} for row in rows], GROUP)


def _columns(direction: str, baseline: str, crowded: bool) -> tuple[Column, ...]:
    return (
        Column(direction, direction, "seconds"),
        Column(f"{direction} speedup", f"vs {baseline}", "ratio"),
        Column(f"{direction} of limit", "×limit", "times", wide=crowded),
        Column(f"{direction} note", "note", "note"),
    )


def _of_pass(row: AnyRow, line: Row) -> Row:
    """What a row of a pass adds to its kernel's line."""
    name = row["direction"]
    return {
        "digits": _worse(line.get("digits"), row),
        "reproduce": row.get("reproduce") or line.get("reproduce", ""),
        name: row.get("median"),
        f"{name} speedup": _with_interval(row),
        f"{name} of limit": row.get("of_limit"),
        f"{name} note": row["note"],
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


def _filled(line: Row, columns: Sequence[Column]) -> Row:
    """Every note of a table is looked up in every row."""
    return {column.key: "" for column in columns if column.kind in ("note", "command")} | line
