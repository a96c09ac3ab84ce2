"""The growth of times over a sweep, on two logarithmic axes, with the memory roofline."""

from collections.abc import Iterator, Sequence

from bncli.core import power_law
from bncli.core.chart import Axis, Chart, Series
from bncli.core.problem import Problem, shared_parts
from bncli.core.rows.times import BenchRow
from bncli.core.units import text
from bncli.errors import InputError
from bncli.output.charts._timed import Timed, variants

TIME = Axis("time of a call", "seconds")
SIZE = Axis("values of x", "count")
ABOUT = "Here time ~ size^k is a straight line of slope k, fitted to all sizes. The dashed line is the memory roofline."


def charts(name: str, rows: Sequence[Timed]) -> Iterator[Chart]:
    """One chart for each sweep and each combination of outputs, caches and threads."""
    groups: dict[tuple[str, str], list[Timed]] = {}
    for each, variant in zip(rows, variants(rows), strict=True):
        groups.setdefault((_sweep(each), variant), []).append(each)
    for (sweep, variant), group in groups.items():
        sizes = _sizes(list(dict.fromkeys(each.row.problem for each in group)), bool(sweep))
        if len(set(sizes.values())) >= power_law.FEWEST:
            setting = f"{sweep or shared_parts(list(sizes))[1]}  {variant}".strip()
            yield _chart(name, setting, sorted(group, key=lambda each: sizes[each.row.problem]), sizes)


def _sweep(each: Timed) -> str:
    return (each.row.sweep if isinstance(each.row, BenchRow) else None) or ""


def _chart(name: str, setting: str, rows: Sequence[Timed], sizes: dict[str, int]) -> Chart:
    at = [float(sizes[each.row.problem]) for each in rows]
    series = []
    for style, kernel in enumerate(dict.fromkeys(each.row.kernel for each in rows)):
        points = [e.point(size) for size, e in zip(at, rows, strict=True) if e.row.kernel == kernel]
        title = f"{kernel}{_exponent({point.at: point.value for point in points})}"
        series.append(Series(title, points, style, joined=True))
    limits = {size: each.limit_point(size) for size, each in zip(at, rows, strict=True) if each.limit}
    if limits:
        title = f"memory roofline{_exponent({size: point.value for size, point in limits.items()})}"
        series.append(Series(title, list(limits.values()), role="limit", joined=True))
    return Chart(f"{name}: growth", TIME, series, (), SIZE, setting=setting, about=ABOUT)


def _exponent(times: dict[float, float]) -> str:
    """The exponent of the power law through ``times`` by size, as text; empty for too few sizes."""
    if len(times) < power_law.FEWEST:
        return ""
    fit = power_law.fit([*times], [*times.values()])
    return f", k = {text(fit.exponent, 'error')} ± {text(fit.error, 'error')}"


def _sizes(descriptors: Sequence[str], swept: bool) -> dict[str, int]:
    """The number of values of x in each problem, if the problems are a sweep; else empty.

    Problems that are not marked as a sweep are one if they differ in a single axis of the shape.
    """
    try:
        problems = {descriptor: Problem.parse(descriptor) for descriptor in descriptors}
    except InputError:
        return {}
    kinds = {(len(p.shape), p.layout, p.dtype, p.epsilon) for p in problems.values()}
    axes = zip(*(p.shape for p in problems.values()), strict=True) if len(kinds) == 1 else ()
    if not swept and sum(len({*lengths}) > 1 for lengths in axes) != 1:
        return {}
    return {descriptor: problem.size for descriptor, problem in problems.items()}
