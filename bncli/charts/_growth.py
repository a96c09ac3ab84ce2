"""How time grows where problems differ in one axis of the shape: both axes logarithmic, and the limit below."""

from collections.abc import Sequence

from bncli.charts._rows import number, word, words
from bncli.charts._timed import Timed
from bncli.core.chart import Axis, Chart, Series
from bncli.core.descriptors import parted
from bncli.core.problem import Problem
from bncli.core.units import text
from bncli.errors import InputError

FEWEST = 3  # lengths that make a range
TIME = Axis("time of a call", "seconds")
ABOUT = "On these axes t ~ n^a is a straight line of slope a. The dashed line is what the memory needs."


def chart(name: str, rows: Sequence[Timed]) -> Chart | None:
    """Time over the length of the one axis in which the problems differ; None where they are no such range."""
    problems = words([each.row for each in rows], "problem")
    if (axis := _varied(problems)) is None or any(len(words([e.row for e in rows], key)) > 1 for key in Timed.VARIANT):
        return None
    lengths = {problem: float(Problem.parse(problem).shape[axis]) for problem in problems}
    at = [lengths[word(each.row, "problem")] for each in rows]
    ordered = sorted(zip(at, rows, strict=True), key=lambda pair: pair[0])
    series = [
        Series(
            _named(kernel, rows),
            [each.point(length) for length, each in ordered if word(each.row, "kernel") == kernel],
            style,
            joined=True,
        )
        for style, kernel in enumerate(words([each.row for each in rows], "kernel"))
    ]
    limits = {length: each.limit_point(length) for length, each in ordered if each.limit}
    if limits:
        series.append(Series("memory's limit", list(limits.values()), role="limit", joined=True))
    _, shared = parted(problems)
    along = Axis(f"length n of axis {axis} of the shape", "count")
    return Chart(f"{name}: growth", TIME, series, (), along, setting=shared, about=ABOUT)


def _named(kernel: str, rows: Sequence[Timed]) -> str:
    """With the exponent that was fitted to its times, where the rows say it."""
    exponents = (number(each.row, "exponent") for each in rows if word(each.row, "kernel") == kernel)
    fitted = next((each for each in exponents if each is not None), None)
    return kernel if fitted is None else f"{kernel}, t ~ n^{text(fitted, 'error')}"


def _varied(descriptors: Sequence[str]) -> int | None:
    """The one axis of the shape in which ``descriptors`` differ, and in nothing else."""
    try:
        problems = [Problem.parse(descriptor) for descriptor in descriptors]
    except InputError:
        return None
    if len({(len(p.shape), p.layout, p.dtype, p.epsilon) for p in problems}) != 1:
        return None
    varied = [
        axis for axis, lengths in enumerate(zip(*(p.shape for p in problems), strict=True)) if len({*lengths}) > 1
    ]
    return varied[0] if len(varied) == 1 and len(descriptors) >= FEWEST else None
