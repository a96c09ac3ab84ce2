"""Times relative to the memory roofline, the bandwidth that kernels use, and the growth of times over a sweep."""

from collections.abc import Iterator, Sequence

from bncli.core.chart import Axis, Chart, Point, Series
from bncli.core.problem import shared_parts
from bncli.core.report import Report
from bncli.output.charts import _growth
from bncli.output.charts._timed import Timed, timed, variants

TIME = Axis("time of a call", "seconds")
BANDWIDTH = Axis("bandwidth", "bytes/s")
BYTES = Axis("moved by a call", "bytes")
FEWEST_SIZES = 3  # a roofline chart of fewer sizes shows no more than the table
TIMES = "Times are medians with 95 % intervals; the grey bar is the memory roofline for the same bytes."
ROOFLINE = "The dashed line is the bandwidth of the memory roofline at each size, measured in the same rounds."


def charts(report: Report) -> list[Chart]:
    """The times of each pass, their growth over a sweep, and a roofline chart if there are enough sizes."""
    passes: dict[str, list[Timed]] = {}
    for each in timed(report.rows):
        passes.setdefault(each.row.direction, []).append(each)
    makers = (_times, _growth.charts, _rooflines)
    return [chart for make in makers for name, rows in passes.items() for chart in make(name, rows)]


def _kernels(rows: Sequence[Timed]) -> list[str]:
    return list(dict.fromkeys(each.row.kernel for each in rows))


def _times(name: str, rows: Sequence[Timed]) -> Iterator[Chart]:
    problems = list(dict.fromkeys(each.row.problem for each in rows))
    short, shared = shared_parts(problems)
    names = dict(zip(problems, short, strict=True))
    labelled = zip(rows, variants(rows), strict=True)
    labels = [f"{names[each.row.problem]}  {variant}".strip() for each, variant in labelled]
    places = list(dict.fromkeys(labels))
    at = [places.index(label) for label in labels]
    series = [
        Series(kernel, [e.point(place) for e, place in zip(rows, at, strict=True) if e.row.kernel == kernel], n)
        for n, kernel in enumerate(_kernels(rows))
    ]
    limits = {place: each.limit_point(place) for each, place in zip(rows, at, strict=True) if each.limit}
    if limits:
        series.append(Series("memory roofline", list(limits.values()), role="limit"))
    yield Chart(f"{name}: time", TIME, series, places, setting=shared, about=TIMES)


def _rooflines(name: str, rows: Sequence[Timed]) -> Iterator[Chart]:
    """One roofline chart for each combination of outputs, caches and threads."""
    groups: dict[str, list[Timed]] = {}
    for each, variant in zip(rows, variants(rows), strict=True):
        if each.bytes:
            groups.setdefault(variant, []).append(each)
    for variant, group in groups.items():
        if len({each.bytes for each in group}) >= FEWEST_SIZES:
            yield Chart(f"{name}: roofline", BANDWIDTH, _against_memory(group), (), BYTES, (), variant, ROOFLINE)


def _against_memory(rows: Sequence[Timed]) -> list[Series]:
    series = [
        Series(kernel, [e.bandwidth_point() for e in rows if e.row.kernel == kernel], n)
        for n, kernel in enumerate(_kernels(rows))
    ]
    # If several problems have one size, the fastest roofline counts.
    best: dict[float, Point] = {}
    for each in rows:
        if each.limit and each.limit_bandwidth > best.get(each.bytes, Point(0, 0, "")).value:
            best[each.bytes] = Point(each.bytes, each.limit_bandwidth, each.limit_says())
    if best:
        series.append(Series("memory roofline", [best[size] for size in sorted(best)], role="limit", joined=True))
    return series


CHARTS = charts
