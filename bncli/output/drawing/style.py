"""Styles of series: a colour, and for readers without colours a shape of points and dashes of lines."""

from typing import NamedTuple


class Style(NamedTuple):
    """Colours on white and on black; the shape of points, as matplotlib's letter and as an SVG path; dashes."""

    light: str
    dark: str
    letter: str
    path: str
    dashes: tuple[int, ...]


# The hues of Okabe and Ito, "Color Universal Design", 2008, made darker on white and lighter on black
# until each has three times the contrast that WCAG 2.2 asks of graphics, or nearly.
STYLES = (
    Style("#0072b2", "#56b4e9", "o", "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", ()),
    Style("#c14f00", "#ff9248", "s", "M-4 -4h8v8h-8z", (7, 3)),
    Style("#007a5a", "#35cf9f", "^", "M0 -5l5 9h-10z", (2, 2)),
    Style("#a33d78", "#ec9ccb", "D", "M0 -5.2l5.2 5.2l-5.2 5.2l-5.2 -5.2z", (7, 2, 2, 2)),
    Style("#7f6200", "#f0c541", "v", "M0 5l5 -9h-10z", (10, 2)),
    Style("#444444", "#d4d4d4", "P", "M-1.7 -5h3.4v3.3h3.3v3.4h-3.3v3.3h-3.4v-3.3h-3.3v-3.4h3.3z", (4, 2, 1, 2, 1, 2)),
    Style("#5a4fcf", "#b0aaff", "X", "M-4.5 -2.3l2.2 -2.2l2.3 2.3l2.3 -2.3l2.2 2.2l-2.3 2.3l2.3 2.3l-2.2 2.2l-2.3 -2.3"
          "l-2.3 2.3l-2.2 -2.2l2.3 -2.3z", (1, 2)),
    Style("#0b7580", "#63d5de", "h", "M0 -5l4.4 2.5v5l-4.4 2.5l-4.4 -2.5v-5z", (10, 3, 3, 3)),
)  # fmt: skip
LIMIT = Style("#555555", "#b4b4b4", "|", "M-1 -6h2v12h-2z", (3, 3))


def style(number: int) -> Style:
    """The style of the series ``number``; after the last style, the first is used again."""
    return STYLES[number % len(STYLES)]
