"""Times against the memory's limit, what of its bandwidth a kernel uses, and how time grows over a range of shapes."""

from collections.abc import Iterator, Sequence

from bncli.charts import _growth
from bncli.charts._rows import number, word, words
from bncli.charts._timed import Timed, timed
from bncli.core.chart import Axis, Chart, Point, Series
from bncli.core.descriptors import parted
from bncli.core.report import Report

TIME = Axis("time of a call", "seconds")
BANDWIDTH = Axis("bandwidth", "bytes/s")
BYTES = Axis("moved by a call", "bytes")
ANY = "any"  # number of threads, where a kernel chooses it
FEWEST_SIZES = 3  # of which a roofline is more than the figures of a table
TIMES = "Times are medians with 95 % intervals; the grey bar is what the memory needs to move the same bytes."
ROOFLINE = "The dashed line is the memory's own bandwidth at each size, measured in the same rounds."


def charts(report: Report) -> list[Chart]:
    """For each pass the times, over a range of shapes their growth, and where sizes are several the roofline."""
    passes: dict[str, list[Timed]] = {}
    for each in timed(report.rows):
        passes.setdefault(word(each.row, "direction"), []).append(each)
    makers = (_times, _growth.charts, _rooflines)
    return [chart for make in makers for name, rows in passes.items() for chart in make(name, rows)]


def _kernels(rows: Sequence[Timed]) -> list[str]:
    return words([each.row for each in rows], "kernel")


def _times(name: str, rows: Sequence[Timed]) -> Iterator[Chart]:
    problems = words([each.row for each in rows], "problem")
    short, shared = parted(problems)
    labels = _labels(rows, dict(zip(problems, short, strict=True)))
    places = list(dict.fromkeys(labels))
    at = [places.index(label) for label in labels]
    series = [
        Series(
            kernel, [e.point(place) for e, place in zip(rows, at, strict=True) if word(e.row, "kernel") == kernel], n
        )
        for n, kernel in enumerate(_kernels(rows))
    ]
    limits = {place: each.limit_point(place) for each, place in zip(rows, at, strict=True) if each.limit}
    if limits:
        series.append(Series("memory's limit", list(limits.values()), role="limit"))
    yield Chart(f"{name}: time", TIME, series, places, setting=shared, about=TIMES)


def _labels(rows: Sequence[Timed], short: dict[str, str]) -> list[str]:
    """The problem, and of how it was timed what differs between the rows."""
    differing = [key for key in Timed.VARIANT if len(words([each.row for each in rows], key)) > 1]
    return [
        "  ".join([short[word(each.row, "problem")], *(f"{key} {word(each.row, key) or ANY}" for key in differing)])
        for each in rows
    ]


def _rooflines(name: str, rows: Sequence[Timed]) -> Iterator[Chart]:
    sizes = {number(each.row, "bytes") for each in rows} - {None}
    if len(sizes) < FEWEST_SIZES:
        return
    sized = [each for each in rows if each.bytes]
    series = [
        Series(kernel, [e.bandwidth_point() for e in sized if word(e.row, "kernel") == kernel], n)
        for n, kernel in enumerate(_kernels(rows))
    ]
    # Of several problems of one size, the memory at its best.
    best: dict[float, Point] = {}
    for each in sized:
        if each.limit and each.limit_bandwidth > best.get(each.bytes, Point(0, 0, "")).value:
            best[each.bytes] = Point(each.bytes, each.limit_bandwidth, each.limit_says())
    if best:
        series.append(Series("memory's limit", [best[size] for size in sorted(best)], role="limit", joined=True))
    yield Chart(f"{name}: roofline", BANDWIDTH, series, (), BYTES, about=ROOFLINE)


CHARTS = charts
