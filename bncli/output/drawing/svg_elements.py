"""SVG elements. They form a tree, which is escaped when it is written, so a name is text and never markup."""

from xml.etree.ElementTree import Element, SubElement

from bncli.core.chart import Point, Series
from bncli.core.units import printable
from bncli.output.drawing.style import LIMIT, STYLES, Style, style

REACH = 8  # radius around a point in which a finger or a pointer hits it


def path(parent: Element, kind: str, d: str, **more: str) -> Element:
    """A path of the class ``kind``."""
    return SubElement(parent, "path", {"class": kind, "d": d, **more})


def rectangle(parent: Element, kind: str, left: float, top: float, right: float, bottom: float) -> None:
    """Add a filled rectangle; edges in pixels."""
    size = {"width": number(right - left), "height": number(bottom - top)}
    SubElement(parent, "rect", {"class": kind, "x": number(left), "y": number(top), **size})


def text(parent: Element, kind: str, x: float, y: float, content: str) -> None:
    """Add one line of text at (x, y) pixels; its class ``kind`` says whether it starts, is centred or ends there."""
    SubElement(parent, "text", {"class": kind, "x": number(x), "y": number(y)}).text = printable(content)


def dot(parent: Element, series: Series, point: Point, x: float, y: float, arm: str, form: str = "") -> None:
    """Add a point with ``arm``, the path of its error bar; its description is its accessible name and its title."""
    says = printable(point.says)
    group = SubElement(parent, "g", {"class": f"point {class_of(series)}", "role": "img", "tabindex": "-1"})
    group.set("aria-label", says)
    SubElement(group, "title").text = says
    if arm:
        path(group, "arm", arm)
    place = f"translate({number(x)} {number(y)})"
    SubElement(group, "circle", {"class": "reach", "transform": place, "r": number(REACH)})
    path(group, "dot", form or style_of(series).path, transform=place)


def line(parent: Element, kind: str, d: str, series: Series) -> None:
    """A line with the dashes of ``series``."""
    dashes = " ".join(map(str, style_of(series).dashes))
    path(parent, f"line {kind}", d, **({"stroke-dasharray": dashes} if dashes else {}))


def class_of(series: Series) -> str:
    """The class of a series in the style sheet: the style's number for a kernel, ``limit`` for a limit."""
    return "limit" if series.role != "kernel" else f"s{series.style % len(STYLES)}"


def style_of(series: Series) -> Style:
    """The colour, the shape of points and the dashes of a series."""
    return style(series.style) if series.role == "kernel" else LIMIT


def number(value: float) -> str:
    """A coordinate to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")
