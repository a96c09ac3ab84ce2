"""Charts as SVG for a page, whose style sheet colours the classes of the elements."""

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element, tostring

from bncli.core.chart import Chart, Series
from bncli.core.units import printable
from bncli.output.drawing import subrows, svg_elements
from bncli.output.drawing.scale import Scale
from bncli.output.drawing.svg_elements import number

# In units of about a pixel.
WIDTH = 440
EDGE = 14
TOP = 8
HEAD = 26  # for the title of the vertical axis
LEFT_MARGIN = 66  # for the values of the vertical axis
FOOT = 44  # for the values below the plot, and their axis' title
HEIGHT = 270  # of a plot without rows
LABEL, SUBROW, GAP = 17, 13, 7  # heights in a row: its name, each subrow, the space below
TICK = 16
SMALL = "M-2 -2h4v4h-4z"  # a point on the line of a limit


class Box(NamedTuple):
    """The rectangle in which points lie; ``row`` is the height of a row."""

    left: float
    top: float
    right: float
    bottom: float
    row: float = 0.0

    def x(self, share: float) -> float:
        """The pixel of a share of the width, from the left."""
        return self.left + share * (self.right - self.left)

    def y(self, share: float) -> float:
        """The pixel of a share of the height, from the bottom."""
        return self.bottom - share * (self.bottom - self.top)

    def row_top(self, at: float) -> float:
        """The pixel where the row ``at`` begins, the first being 0."""
        return self.top + at * self.row


def picture(chart: Chart) -> str:
    """The ``svg`` element of ``chart``."""
    row = LABEL + SUBROW * subrows.count(chart) + GAP
    left, top, height = (EDGE, TOP, row * len(chart.rows)) if chart.rows else (LEFT_MARGIN, HEAD, HEIGHT)
    box = Box(left, top, WIDTH - EDGE, top + height, row)
    size = f"0 0 {WIDTH} {number(box.bottom + FOOT)}"
    root = Element("svg", {"viewBox": size, "role": "group", "aria-label": printable(chart.title), "class": "chart"})
    value = Scale.over(chart.value, chart.values())
    if chart.along:
        _upright(root, chart, value, Scale.over(chart.along, chart.places()), box)
    else:
        _in_rows(root, chart, value, box)
    return tostring(root, encoding="unicode")


def key(series: Series) -> str:
    """A small picture of what the points and lines of ``series`` look like."""
    kind = f"key {svg_elements.class_of(series)}"
    root = Element("svg", {"viewBox": "-14 -7 28 14", "class": kind, "aria-hidden": "true"})
    if series.role == "band":
        svg_elements.rectangle(root, "band", -13, -5, 13, 5)
        return tostring(root, encoding="unicode")
    if series.joined:
        svg_elements.line(root, "", "M-14 0h28", series)
    if not (series.joined and series.role == "limit"):
        svg_elements.path(root, "dot", svg_elements.style_of(series).path)
    return tostring(root, encoding="unicode")


def _in_rows(root: Element, chart: Chart, value: Scale, box: Box) -> None:
    tops = [box.row_top(at) for at in range(len(chart.rows))]
    for top in tops[::2]:
        svg_elements.rectangle(root, "stripe", 0, top, WIDTH, top + box.row)
    _across(root, value, box)
    for top, name in zip(tops, chart.rows, strict=True):
        svg_elements.text(root, "name", box.left, top + LABEL - 4, name)
    for mark in chart.marks:
        x = number(box.x(value.share(mark.value)))
        # Interrupted at the names of rows, which it would cross out.
        pieces = (f"M{x} {number(top + LABEL)}V{number(top + box.row)}" for top in tops)
        svg_elements.path(root, "mark", "".join(pieces))
    for series in chart.series:
        _in_subrow(root, series, subrows.offset(chart, series), value, box)


def _in_subrow(root: Element, series: Series, offset: float, value: Scale, box: Box) -> None:
    high = box.row - LABEL - GAP
    for point in series.points:
        y = box.row_top(point.at) + LABEL + high * (0.5 + offset)
        x, left, right = (box.x(value.share(each)) for each in (point.value, *point.ends))
        if series.role == "band":
            svg_elements.rectangle(root, "band", left, y - high / 2, right, y + high / 2)
        elif series.role == "limit":
            svg_elements.dot(root, series, point, x, y, "", f"M-1.5 {number(-high / 2)}h3v{number(high)}h-3z")
        else:
            arm = f"M{number(left)} {number(y)}H{number(right)}" if point.low is not None else ""
            svg_elements.dot(root, series, point, x, y, arm)


def _upright(root: Element, chart: Chart, value: Scale, along: Scale, box: Box) -> None:
    _across(root, along, box)
    svg_elements.text(root, "title", EDGE, HEAD - 12, chart.value.title)
    for share, label in _ticks(value):
        _rule(root, "grid", box.y(share), box)
        svg_elements.text(root, "tick end", box.left - 6, box.y(share) + 4, label)
    for mark in chart.marks:
        _rule(root, "mark", box.y(value.share(mark.value)), box)
    for series in (each for each in chart.series if each.joined):
        places = (f"{number(box.x(along.share(p.at)))} {number(box.y(value.share(p.value)))}" for p in series.points)
        svg_elements.line(root, svg_elements.class_of(series), "M" + "L".join(places), series)
    for series in chart.series:
        for point in series.points:
            x = box.x(along.share(point.at))
            y, low, high = (box.y(value.share(each)) for each in (point.value, *point.ends))
            arm = f"M{number(x)} {number(low)}V{number(high)}" if point.low is not None else ""
            svg_elements.dot(root, series, point, x, y, arm, SMALL if series.role == "limit" else "")


def _rule(root: Element, kind: str, y: float, box: Box) -> None:
    svg_elements.path(root, kind, f"M{number(box.left)} {number(y)}H{number(box.right)}")


def _across(root: Element, scale: Scale, box: Box) -> None:
    """The horizontal axis, its values and its title."""
    for share, label in _ticks(scale):
        svg_elements.path(root, "grid", f"M{number(box.x(share))} {number(box.top)}V{number(box.bottom)}")
        svg_elements.text(root, "tick middle", box.x(share), box.bottom + TICK, label)
    _rule(root, "axis", box.bottom, box)
    svg_elements.text(root, "title middle", (box.left + box.right) / 2, box.bottom + FOOT - 8, scale.axis.title)


def _ticks(scale: Scale) -> Iterator[tuple[float, str]]:
    return zip(map(scale.share, scale.ticks), scale.labels(), strict=True)
