"""SVG elements. What is in a name is text, and stays text: elements are a tree, which is escaped when it is written."""

from xml.etree.ElementTree import Element, SubElement

from bncli.core.chart import Point, Series
from bncli.core.units import printable
from bncli.output.drawing.style import LIMIT, STYLES, Style, style

REACH = 8  # around a point: what a finger or a pointer has to hit


def path(parent: Element, kind: str, d: str, **more: str) -> Element:
    """A path of the class ``kind``."""
    return SubElement(parent, "path", {"class": kind, "d": d, **more})


def rectangle(parent: Element, kind: str, left: float, top: float, right: float, bottom: float) -> None:
    """Add a filled rectangle; edges in pixels."""
    size = {"width": number(right - left), "height": number(bottom - top)}
    SubElement(parent, "rect", {"class": kind, "x": number(left), "y": number(top), **size})


def text(parent: Element, kind: str, x: float, y: float, content: str) -> None:
    """Add one line of text that starts, or as its class says is centred or ends, at (x, y) pixels."""
    SubElement(parent, "text", {"class": kind, "x": number(x), "y": number(y)}).text = printable(content)


def dot(parent: Element, series: Series, point: Point, x: float, y: float, arm: str, form: str = "") -> None:
    """A point with the ``arm`` of its interval; what it says is its name, and its text where nothing reads names."""
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
    """What the style sheet calls a series: a kernel's by its number, a limit as such."""
    return "limit" if series.role != "kernel" else f"s{series.style % len(STYLES)}"


def style_of(series: Series) -> Style:
    """The colour, the form of a point and the dashes of a series."""
    return style(series.style) if series.role == "kernel" else LIMIT


def number(value: float) -> str:
    """A coordinate to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")
