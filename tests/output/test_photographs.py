"""What forward and backward do for photographs: their defaults, and what pictures of them say."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

import command_line
from bncli.output.drawing import image_figure

HEIGHT, WIDTH = 12, 16


@pytest.fixture
def photos(tmp_path):
    """A folder with three colour images."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 200, (3, HEIGHT, WIDTH, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def run(command, *arguments, code=0):
    return command_line.run(command, "numpy", *arguments, code=code, columns=80)


@pytest.mark.parametrize(("layout", "width"), [("nhwc", 2), ("nchw", 3)])
def test_dy_of_images_is_their_mirror_image_unless_it_is_drawn(layout, width, photos, tmp_path):
    images, saved = ("--image", photos, "--layout", layout), tmp_path / "out.npz"
    run("backward", *images, "--save", saved)
    arrays = np.load(saved)
    np.testing.assert_array_equal(arrays["dy"], np.flip(arrays["x"], width))
    run("backward", *images, "--dy", "drawn", "--save", saved)
    assert abs(np.load(saved)["dy"]).max() > 1
    assert "--dy mirrored needs images" in run("backward", "--shape", "5x4", "--dy", "mirrored", code=2).stderr


@pytest.mark.parametrize("command", ["forward", "backward"])
def test_the_epsilon_of_images_is_sensible_for_pixels(command, photos):
    assert "/eps=0.001" in run(command, "--image", photos).stdout
    assert "/eps=1e-08" in run(command, "--image", photos, "--epsilon", "1e-8").stdout
    assert "/eps=1e-08" in run(command, "--shape", "5x4").stdout


@pytest.mark.parametrize(
    ("shape", "hints"),
    [("2x4x4x3", ["give five images", "--layout channels-last"]), ("2x5", ["a larger batch"]), ("3x5", [])],
)
def test_why_two_samples_show_nothing_is_said(shape, hints, tmp_path):
    said = run("forward", "--shape", shape, "--save", tmp_path / "out.npz").stderr
    assert ("with two samples per feature, x_hat is about 1 and -1" in said) is bool(hints)
    assert all(hint in said for hint in hints)
    assert ("channels-last" in said) is (len(hints) > 1)
    assert run("forward", "--array", tmp_path / "out.npz", "--mode", "infer").stderr == ""


@pytest.mark.parametrize("size", [1, 1e-9, 12345.678, 3e12])
def test_ticks_of_a_picture_do_not_overlap_and_its_legend_covers_no_bar(size, photos, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    drawn = []
    monkeypatch.setattr(image_figure, "write", lambda figure, file, suffix: drawn.append(figure))
    x = size * np.random.default_rng(0).standard_normal((5, HEIGHT, WIDTH, 3))
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image_figure.save(tmp_path / "p.png", [image_figure.ImageRow("x", "", [("a", image)], x)], "title")
    drawn[0].canvas.draw()
    axes = drawn[0].axes[-1]
    low, high = axes.get_xlim()
    ticks = [each for each in axes.get_xticklabels() if low <= each.get_position()[0] <= high]
    boxes = [tick.get_window_extent() for tick in ticks]
    assert len(boxes) >= 2
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1
    assert axes.title.get_window_extent().y0 >= axes.get_legend().get_window_extent().y1
