"""What forward and backward show of images: the figure, the files, the preview in the terminal."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import command_line
from bncli.core.problem import Problem
from bncli.core.units import text
from bncli.errors import InputError
from bncli.output.drawing import colour_map, image_figure, png
from bncli.output.drawing.images import feature_image, images
from bncli.output.terminal import preview

HEIGHT, WIDTH = 12, 16


@pytest.fixture
def photos(tmp_path):
    """Three colour images and, apart, a grey one."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        pixels = rng.integers(20 * number, 200, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    Image.fromarray(rng.integers(0, 255, (HEIGHT, WIDTH), dtype=np.uint8)).save(tmp_path / "grey.png")
    return folder


def run(command, *arguments, code=0):
    kernel = () if "--kernel" in arguments else ("--kernel", "numpy")  # the first one's pictures are made in any case
    return command_line.run(command, *arguments, *kernel, code=code, columns=80)


@pytest.mark.parametrize("layout", ["per-activation", "channels-last", "channels-first"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_come_back_from_every_layout(layout, channels):
    expected = np.random.default_rng(0).normal(size=(5, HEIGHT, WIDTH, channels))
    own = expected.transpose(0, 3, 1, 2) if layout == "channels-first" else expected
    problem = Problem.parse(f"{'x'.join(map(str, own.shape))}/{layout}")
    canonical = problem.canonical(np.ascontiguousarray(own))
    np.testing.assert_array_equal(images(problem, canonical), expected)
    mean = feature_image(problem, canonical.mean((0, 2)))
    axes = 0 if layout == "per-activation" else (0, 1, 2)
    np.testing.assert_allclose(mean, np.broadcast_to(expected.mean(axes), mean.shape), rtol=1e-12)


@pytest.mark.parametrize("descriptor", ["5x7", "5x4x4", "5x4x4x2", "5x4x4x3/channels-first", "5x2x4x4x3"])
def test_what_has_no_images_is_refused(descriptor):
    problem = Problem.parse(descriptor)
    with pytest.raises(InputError, match="holds no images"):
        images(problem, np.zeros(problem.canonical_shape))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_zero_is_the_middle_grey_and_at_most_one_in_a_hundred_is_clipped(values):
    array = np.array(values).reshape(1, -1, 1)
    found = colour_map.about_zero(array)
    assert found.low == -found.high
    assert found.beyond <= 0.01
    assert found.beyond == pytest.approx((np.abs(array) > found.high).mean())
    assert found.pixels(np.zeros((1, 1, 1)))[0, 0].tolist() == [128, 128, 128]


def test_a_colour_map_says_what_is_clipped_and_what_is_no_number():
    values = np.concatenate([np.linspace(-1, 1, 300), [50.0, -70.0, np.nan, np.inf]]).reshape(1, -1, 1)
    found = colour_map.about_zero(values)
    assert str(found) == f"black {text(-found.high, 'error')}, white {text(found.high, 'error')}; beyond 0.66 %; " \
                         "magenta: 2 not finite"  # fmt: skip
    pixels = found.pixels(values)
    assert pixels[0, 300].tolist() == [255, 255, 255]
    assert pixels[0, 301].tolist() == [0, 0, 0]
    assert pixels[0, 302].tolist() == pixels[0, 303].tolist() == list(colour_map.MAGENTA)


def test_the_natural_colour_map_of_an_image_is_from_0_to_1():
    inside, outside = np.array([[[0.2], [0.7]]]), np.array([[[-3.0], [5.0]]])
    assert (colour_map.natural(inside).low, colour_map.natural(inside).high) == (0, 1)
    assert colour_map.natural(inside).pixels(inside)[0, :, 0].tolist() == [51, 178]
    assert colour_map.natural(outside).pixels(outside)[0, :, 0].tolist() == [0, 255]
    assert colour_map.from_zero(np.array([0.0, 2.0])).high == 2


def test_the_colour_map_of_no_number_at_all_is_that_of_nothing():
    nothing = np.full((2, 2, 3), np.nan)
    for of, low, high in ((colour_map.natural, 0, 1), (colour_map.about_zero, -1, 1), (colour_map.from_zero, 0, 0)):
        found = of(nothing)
        assert (found.low, found.high, found.beyond, found.not_finite) == (low, high, 0, nothing.size)
        assert (found.pixels(nothing) == colour_map.MAGENTA).all()


def test_each_output_is_saved_under_the_name_of_its_input(photos, tmp_path):
    folder = tmp_path / "out"
    result = run("forward", "--image", photos, "--save-images", folder)
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "b.png", "c.png"]
    assert "wrote 3 images of y" in result.stderr
    x = np.stack([np.asarray(Image.open(photos / name)) for name in ("a.png", "b.png", "c.png")]) / 255
    x_hat = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3)
    size = np.abs(x_hat).max()  # three samples are never further than sqrt(2) from their mean
    expected = np.rint(255 * (x_hat + size) / (2 * size))
    for image, name in zip(expected, ("a.png", "b.png", "c.png"), strict=True):
        assert np.abs(np.asarray(Image.open(folder / name), float) - image).max() <= 1


def test_grey_images_and_copies_are_saved_as_such(photos, tmp_path):
    folder = tmp_path / "out"
    run("forward", "--image", tmp_path / "grey.png", "--copies", 3, "--save-images", folder)
    assert sorted(path.name for path in folder.iterdir()) == ["grey-1.png", "grey-2.png", "grey-3.png"]
    with Image.open(folder / "grey-1.png") as image:
        assert image.mode == "L"


@given(st.lists(st.sampled_from(["a.png", "A.jpg", "a-2.png", "b.png", "dir/b.tif"]), max_size=8))
def test_no_name_is_given_twice(sources):
    found = [name.lower() for name in png.names(sources)]
    assert len(found) == len(set(found)) == len(sources)


@pytest.mark.parametrize(("command", "suffix"), [("forward", ".svg"), ("backward", ".svg"), ("backward", ".png")])
def test_the_figure_is_written_and_is_one_picture(command, suffix, photos, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"picture{suffix}"
    run(command, "--image", photos, "--picture", path)
    if suffix == ".png":
        with Image.open(path) as picture:
            assert min(picture.size) > 400
    else:
        words = path.read_text(encoding="utf-8")
        shown = {"x", "statistics", "mean", "std", "y = x_hat", "a.png"} | (
            {"dy", "dx"} if command == "backward" else set()
        )
        assert all(f">{word}<" in words for word in shown)


@pytest.mark.slow
def test_the_figure_says_what_it_leaves_out(tmp_path, photos):
    pytest.importorskip("matplotlib")
    path = tmp_path / "picture.svg"
    run(
        "forward",
        "--image",
        tmp_path / "grey.png",
        "--copies",
        image_figure.IMAGES_IN_ROW + 2,
        "--picture",
        path,
        "--affine",
        "drawn",
    )
    words = path.read_text(encoding="utf-8")
    assert f"{image_figure.IMAGES_IN_ROW} of {image_figure.IMAGES_IN_ROW + 2} images are shown" in words
    assert ">x_hat<" in words
    assert ">y<" in words
    run("forward", "--image", photos / "a.png", "--image", photos / "b.png", "--picture", path)
    assert "maps any two samples" in path.read_text(encoding="utf-8")


def test_a_picture_of_what_has_no_finite_value_says_so(tmp_path):
    pytest.importorskip("matplotlib")
    np.save(tmp_path / "x.npy", np.full((2, 4, 4, 3), np.nan))
    run("forward", "--array", tmp_path / "x.npy", "--kernel", "numpy", "--picture", tmp_path / "picture.svg")
    words = (tmp_path / "picture.svg").read_text(encoding="utf-8")
    assert words.count(">no finite value<") == 2  # of x and of y


def test_the_picture_of_a_kernel_that_hides_its_statistics_has_none(photos, tmp_path):
    pytest.importorskip("matplotlib")
    hiding = tmp_path / "hiding.py"
    hiding.write_text(HIDING)
    for kernel, shown in (("numpy", True), (hiding, False)):
        run("forward", "--image", photos, "--kernel", kernel, "--picture", tmp_path / "picture.svg")
        assert (">statistics<" in (tmp_path / "picture.svg").read_text(encoding="utf-8")) is shown


HIDING = """
from bncli.kernels import numpy as own

def forward(x, gamma, beta, epsilon):
    y, saved = own.forward(x, gamma, beta, epsilon)
    return y, (saved,)

def backward(dy, saved):
    return own.backward(dy, *saved)
"""


def test_the_preview_has_two_pixels_a_character_or_a_letter_for_a_brightness(photos, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    plain = run("forward", "--image", photos, "--preview").stdout
    assert "a.png" in plain
    assert max(map(len, plain.splitlines())) <= 80
    assert "▀" not in plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    coloured = run("forward", "--image", photos, "--preview").stdout
    assert coloured.count("▀") > 100
    assert "\x1b[38;2;" in coloured


@pytest.mark.parametrize("coloured", [False, True])
def test_the_preview_of_a_column_is_as_high_as_a_screen(coloured, tmp_path, monkeypatch):
    if coloured:
        monkeypatch.setenv("FORCE_COLOR", "1")
    Image.new("L", (2, 3000), 99).save(tmp_path / "column.png")
    lines = run("forward", "--kernel", "numpy", "--image", tmp_path / "column.png", "--preview").stdout.splitlines()
    assert 3 * 24 < len(lines) < 3 * 24 + 20  # of x, the statistics and y


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shape", "5x7", "--preview"], "holds no images"),
        (["--shape", "5x4x4x3", "--shape", "6x4x4x3", "--preview"], "give one --shape"),
        (["--shape", "5x4x4x3", "--picture", "missing/p.png"], "create it first"),
        (["--shape", "5x4x4x3", "--picture", "p.gif"], "suffix"),
        (["--shape", "5x4x4x3", "--save-images", "missing/out"], "create it first"),
        (["--shape", "5x4x4x3", "--save-images", "file"], "it is a file"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_anything_is_written(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    result = run("forward", *arguments, code=2)
    assert words in result.stderr
    assert result.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_preview_says_how_many_images_it_leaves_out(photos):
    shown = run("forward", "--image", photos / "a.png", "--copies", preview.IMAGES_IN_ROW + 3, "--preview").stdout
    assert f"{preview.IMAGES_IN_ROW} of {preview.IMAGES_IN_ROW + 3} images are shown" in shown
    assert "images are shown" not in run("forward", "--image", photos, "--preview").stdout


def test_gamma_and_beta_are_those_of_a_new_layer_for_images_and_drawn_otherwise(photos):
    def arrays(*arguments):
        rows = run("backward", *arguments, "--kernel", "numpy", "--format", "csv").stdout.splitlines()
        return {row.split(",")[4]: row for row in rows[1:]}

    assert ",1.0," in arrays("--image", photos)["gamma"]
    assert ",1.0," not in arrays("--image", photos, "--affine", "drawn")["gamma"]
    assert ",0.0," in arrays("--shape", "5x4", "--affine", "identity")["beta"]


def test_features_are_shown_by_themselves(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ["forward", "--shape", "6x5x3/channels-last", "--kernel", "numpy", "--features", "2"]
    document = json.loads(run(*arguments, "--format", "json").stdout)
    rows = {row["array"]: row for row in document["rows"]}
    assert list(rows) == [name + part for name in ("x", "x_hat", "y") for part in ("", " feature 0", " feature 1")]
    assert rows["x_hat feature 1"]["mean"] == pytest.approx(0, abs=1e-12)
    assert rows["x_hat feature 1"]["std"] == pytest.approx(1, abs=1e-6)
    assert sum(rows["x feature 0"]["histogram"]) == 30
    assert sum(rows["x"]["histogram"]) == 90
    assert "x_hat feature 1" in run(*arguments).stdout


def test_a_histogram_has_a_bar_a_bin():
    assert text([0, 1, 4, 8], "histogram") == " ▁▄█"
    assert text([], "histogram") == text([0, 0], "histogram") == "–"
