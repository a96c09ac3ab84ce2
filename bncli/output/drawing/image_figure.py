"""A batch of images before and after, in one figure: a row of images for each array, and a histogram of its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli import files
from bncli.core.chart import Axis
from bncli.core.units import printable, shortened, text
from bncli.output.drawing.figure import DPI, SETTINGS, write
from bncli.output.drawing.scale import label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

IMAGES_IN_ROW = 6
CELL = 1.6  # inches of an image
LABEL, SIDE = 1.15, 2.2  # inches of the text left of the images and of the histogram right of them
BINS = 61  # odd, so that one bin has 0 in its middle
TICKS = 4  # steps between ticks, at most: labels as long as -1.25e-10 do not overlap
ABOVE_LEGEND = 16  # points between the axes and the title, where a legend stands between
LONGEST = 24  # characters of an image's name
# Distinguished by their dashes too.
CHANNELS = {
    1: (("grey", "#333333", "-"),),
    3: (("red", "#c14f00", "-"), ("green", "#007a5a", "--"), ("blue", "#0072b2", ":")),
}


@dataclass(frozen=True)
class ImageRow:
    """The images of one array.

    ``images`` are names and 8-bit pixels (height, width, 3); ``about`` describes their colour map. ``values``,
    (..., channels), are those of the histogram; None: the row has no histogram.
    """

    title: str
    about: str
    images: Sequence[tuple[str, Array]]
    values: Array | None = None


def save(path: Path, rows: Sequence[ImageRow], title: str, note: str = "") -> None:
    """Draw ``rows`` under ``title`` and above ``note``; the suffix of ``path`` chooses the format."""
    import matplotlib
    from matplotlib.figure import Figure

    across = max(len(row.images) for row in rows)
    height, width = rows[0].images[0][1].shape[:2]
    tall = min(max(height / width, 0.5), 2.0) * CELL + 0.35
    with matplotlib.rc_context({**SETTINGS, "axes.grid": False, "font.size": 8.0}):
        size = LABEL + across * CELL + SIDE, len(rows) * tall + 0.75
        figure = Figure(size, dpi=DPI, layout="constrained")
        axes = figure.subplots(len(rows), across + 2, squeeze=False, width_ratios=[LABEL, *across * [CELL], SIDE])
        for row, axes_of_row in zip(rows, axes, strict=True):
            _draw(row, axes_of_row)
        figure.suptitle(printable(title), fontsize=10)
        if note:
            figure.supxlabel(printable(note), fontsize=8)
        files.replace(path, lambda file: write(figure, file, path.suffix.lower()))


def _draw(row: ImageRow, axes: Sequence[Any]) -> None:
    for each in axes:
        each.set_axis_off()
    lines = row.about.replace(", ", "\n").replace("; ", "\n")
    words = {"x": 1, "ha": "right", "transform": axes[0].transAxes}
    axes[0].text(y=0.6, s=row.title, va="bottom", weight="bold", **words)
    axes[0].text(y=0.56, s=lines, va="top", fontsize=7, color="#444444", **words)
    for (name, pixels), each in zip(row.images, axes[1:], strict=False):
        each.imshow(pixels, interpolation="nearest")
        each.set_title(shortened(printable(name), LONGEST), fontsize=7)
    if row.values is not None:
        _histogram(row.values, axes[-1])


def _histogram(values: Array, axes: Any) -> None:
    """The number of pixels by value, one line for each channel."""
    from matplotlib.ticker import MaxNLocator

    axes.set_axis_on()
    finite = values[np.isfinite(values)]
    if not finite.size:
        axes.set_title("no finite value", fontsize=7)
        return
    edges = np.histogram_bin_edges(finite.astype(np.float64), BINS)
    channels = CHANNELS[values.shape[-1]]
    for channel, (name, colour, dashes) in enumerate(channels):
        own = values[..., channel]
        counts, _ = np.histogram(own[np.isfinite(own)].astype(np.float64), edges)
        axes.stairs(counts, edges, color=colour, linestyle=dashes, linewidth=1.1, label=name)
    mean, std = finite.mean(dtype=np.float64), finite.std(dtype=np.float64)
    legend = len(channels) > 1
    title = f"mean {text(float(mean), 'error')}, std {text(float(std), 'error')}"
    axes.set_title(title, fontsize=7, pad=ABOVE_LEGEND if legend else None)
    axes.set_ylabel("pixels", fontsize=7)
    axes.tick_params(labelsize=6)
    axes.xaxis.set_major_locator(MaxNLocator(TICKS, steps=(1, 2, 2.5, 5, 10)))
    axes.xaxis.set_major_formatter(lambda value, place: label(value, Axis("value", "number", logarithmic=False)))
    if legend:
        # Above the axes: within them it would cover bars.
        place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "borderaxespad": 0.0}
        axes.legend(fontsize=6, frameon=False, ncols=len(channels), columnspacing=1.0, borderpad=0.2, **place)
