"""Charts as a file, drawn by matplotlib. Its import takes long, so functions import it."""

import logging
import os
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from bncli import files
from bncli.core.chart import Chart, Series
from bncli.core.units import printable, shortened
from bncli.errors import InputError
from bncli.output.drawing import subrows
from bncli.output.drawing.scale import Scale
from bncli.output.drawing.style import LIMIT, style

SUFFIXES = (".svg", ".png", ".pdf")
DPI = 150
LONGEST = 48  # characters of a name; a saved file may have longer ones, which would leave a chart no room
WIDTH = 6.4  # inches of a chart
LINE, SPACE = 0.17, 0.12  # inches of a subrow, and of the space above and below all subrows of a row
LETTERS, KEY = 80, 7  # characters across a chart, and the width of a legend's symbol in characters
POINTS = 72  # in an inch
HEAD = 1.5  # inches of a chart's title, axis and legend
HEIGHT = 4.4  # inches of a chart without rows
BELOW = 0.55  # inches from an axis to the legend
SHIFT = 0.72  # the part of a row's height that its subrows fill
SETTINGS = {
    "font.size": 9.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "bncli",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "text.parse_math": False,
}


def require(path: Path) -> None:
    """Raise InputError if the picture ``path`` could not be written; called before any work is done."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"cannot tell the format of {str(path)!r} from its suffix: use one of {', '.join(SUFFIXES)}")
    files.check_writable(path)
    if find_spec("matplotlib") is None:
        raise InputError("a plot needs the package matplotlib: pip install 'bncli[plot]'")
    os.environ["MPLBACKEND"] = "agg"  # it opens no window; an unknown backend would raise an error
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a cache that cannot be kept changes no picture


def save(path: Path, charts: Sequence[Chart], title: str) -> None:
    """Draw ``charts``, two in a row, under ``title``; the suffix of ``path`` chooses the format."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS):
        across = min(len(charts), 2)
        rows = [charts[i : i + across] for i in range(0, len(charts), across)]
        heights = [max(map(_height, row)) for row in rows]
        figure = Figure((WIDTH * across, sum(heights) + 0.5), dpi=DPI, layout="constrained")
        axes = figure.subplots(len(rows), across, squeeze=False, height_ratios=heights)
        for each in axes.flat[len(charts) :]:
            each.set_visible(False)
        for chart, each in zip(charts, axes.flat, strict=False):
            _draw(chart, each)
        figure.suptitle(printable(title), fontsize=11, wrap=True)
        files.replace(path, lambda file: write(figure, file, path.suffix.lower()))


def write(figure: Any, file: BinaryIO, suffix: str) -> None:
    """Write a matplotlib figure in the format of ``suffix``."""
    # Without a date, equal charts are equal bytes.
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix)
    with warnings.catch_warnings():
        # matplotlib draws a box for a letter that the font lacks; SVG holds the letter itself.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        figure.savefig(file, format=suffix.removeprefix("."), metadata=metadata)


def _named(words: str) -> str:
    return shortened(printable(words), LONGEST)


def _height(chart: Chart) -> float:
    return HEAD + len(chart.rows) * _row(chart) if chart.rows else HEIGHT


def _row(chart: Chart) -> float:
    return LINE * subrows.count(chart) + SPACE


def _draw(chart: Chart, axes: Any) -> None:
    value = Scale.over(chart.value, chart.values())
    axes.set_title(_named(chart.title), loc="left", fontsize=10, weight="bold", pad=18 if chart.setting else 6)
    axes.annotate(_named(chart.setting), (0, 1), (0, 5), "axes fraction", textcoords="offset points")
    _set(axes.xaxis if chart.rows else axes.yaxis, value)
    if chart.along:
        _set(axes.xaxis, Scale.over(chart.along, chart.places()))
    else:
        axes.set_yticks(range(len(chart.rows)), [_named(row) for row in chart.rows])
        axes.set_ylim(len(chart.rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        for row in range(0, len(chart.rows), 2):
            axes.axhspan(row - 0.5, row + 0.5, color="#f3f3f3", zorder=0)
    handles = [_put(series, chart, axes, value) for series in chart.series]
    for mark in chart.marks:
        rule = axes.axvline if chart.rows else axes.axhline
        handles.append(rule(mark.value, color="#333333", linewidth=1, linestyle="--", label=printable(mark.title)))
    _add_legend(axes, handles, _height(chart))


def _add_legend(axes: Any, handles: list[Any], height: float) -> None:
    longest = max(len(handle.get_label()) for handle in handles)
    across = max(1, min(4, LETTERS // (longest + KEY)))
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -BELOW / height), ncols=across, frameon=False)


def _set(axis: Any, scale: Scale) -> None:
    axis.axes.set(**{f"{axis.axis_name}scale": "log" if scale.axis.logarithmic else "linear"})
    axis.axes.set(**{f"{axis.axis_name}lim": (scale.low, scale.high)})
    axis.set_ticks(scale.ticks, scale.labels())
    axis.set_ticks([], minor=True)
    axis.set_label_text(scale.axis.title)


def _put(series: Series, chart: Chart, axes: Any, value: Scale) -> Any:
    """Draw points with error bars, or a band; return the handle for the legend."""
    name, middle = _named(series.name), [value.clamped(point.value) for point in series.points]
    low, high = ([value.clamped(point.ends[end]) for point in series.points] for end in (0, 1))
    at = [point.at + SHIFT * subrows.offset(chart, series) if chart.rows else point.at for point in series.points]
    if series.role == "band":
        widths = [end - start for start, end in zip(low, high, strict=True)]
        return axes.barh(at, widths, SHIFT, low, color="#d3d3d3", label=name, zorder=1)
    options = _line_options(series)
    handle = axes.plot([], [], label=name, **options)[0]
    arms = axes.hlines if chart.rows else axes.vlines
    arms(at, low, high, color=options["color"], linewidth=1.4, zorder=2)
    across, up = (middle, at) if chart.rows else (at, middle)
    if series.role == "limit" and chart.rows:
        options |= {"markersize": POINTS * SHIFT * _row(chart), "markeredgewidth": 2.5}
    axes.plot(across, up, clip_on=False, **options)
    return handle


def _line_options(series: Series) -> dict[str, Any]:
    own = LIMIT if series.role == "limit" else style(series.style)
    return {
        "color": own.light,
        "marker": "none" if series.role == "limit" and series.joined else own.letter,
        "markersize": 6.0 if series.role == "kernel" else 9.0,
        "markeredgewidth": 1.0 if series.role == "kernel" else 2.0,
        "linestyle": (0, own.dashes) if series.joined and own.dashes else "-" if series.joined else "none",
        "linewidth": 1.4,
        "zorder": 2 if series.role == "limit" else 3,
    }
