"""The sources of x: random, image and array, and every way their input can be wrong."""

from __future__ import annotations

import io
import os
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bncli.core.case import complete, generator
from bncli.core.layout import Layout
from bncli.core.source import Batch, Request
from bncli.errors import InputError
from bncli.inputs import array, image, random

COLOUR = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
GREY = COLOUR[..., 0]
ORIENTATION, SOFTWARE = 0x0112, 0x0131  # EXIF tags


def load_image(*paths: Path, **asked: Any) -> Batch:
    return image.SOURCE.load(Request(tuple(map(str, paths)), **asked))


def load_array(path: Path, **asked: Any) -> Batch:
    return array.SOURCE.load(Request((str(path),), **asked))


def load_random(name: str, **asked: Any) -> Batch:
    return random.SOURCE.load(Request((name,), **{"shape": (4, 5), **asked}))


def refusal(load: Any, *args: Any, **asked: Any) -> str:
    """The message of the InputError that ``load`` raises; it is always one line."""
    with pytest.raises(InputError) as caught:
        load(*args, **asked)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def refusal_if_any(load: Any, path: Path) -> str:
    try:
        load(path)
    except InputError as error:
        return str(error)
    return ""


def saved(path: Path, pixels: Any, mode: str | None = None, **options: Any) -> Path:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


# --- random


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", random.SOURCE.choices)
def test_random_is_seeded_and_of_the_asked_dtype(name: str, dtype: str, layout: Layout) -> None:
    asked = {"shape": (3, 4, 5, 2), "layout": layout, "dtype": dtype, "epsilon": 1e-3}
    first, again, other = (load_random(name, seed=seed, **asked) for seed in (7, 7, 8))
    assert first.arrays["x"].dtype == dtype
    assert first.arrays["x"].shape == first.problem.shape == (3, 4, 5, 2)
    assert (first.problem.layout, first.problem.dtype, first.problem.epsilon) == (layout, dtype, 1e-3)
    np.testing.assert_array_equal(first.arrays["x"], again.arrays["x"])
    if not (dtype == "float16" and name.startswith("offset")):  # where the deviation is lost in rounding
        assert (first.arrays["x"] != other.arrays["x"]).any()
    for statistic in ("mean", "var"):
        assert first.arrays[statistic].dtype == np.float64
        assert first.arrays[statistic].shape == first.problem.feature_shape


def test_random_is_float64_unless_asked() -> None:
    assert load_random("normal").problem.dtype == "float64"


def test_random_float32_is_drawn_natively() -> None:
    expected = generator(3, "x").random((4, 5), dtype=np.float32)
    np.testing.assert_array_equal(load_random("uniform", dtype="float32", seed=3).arrays["x"], expected)
    assert (load_random("uniform", dtype="float64", seed=3).arrays["x"] != expected).any()


def test_random_float16_is_float32_rounded() -> None:
    expected = load_random("normal", dtype="float32", seed=3).arrays["x"].astype(np.float16)
    np.testing.assert_array_equal(load_random("normal", dtype="float16", seed=3).arrays["x"], expected)


@pytest.mark.parametrize("name", ["uniform", "normal", "offset-1e4", "offset-1e6", "sorted"])
def test_random_gives_the_statistics_that_many_samples_have(name: str) -> None:
    batch = load_random(name, shape=(40_000, 3), seed=5)
    x = batch.arrays["x"]
    # Five standard errors of a mean; the variance of a variance is below 2 var² for both distributions.
    var = batch.arrays["var"]
    np.testing.assert_array_less(np.abs(x.mean(0) - batch.arrays["mean"]), 5 * np.sqrt(var / len(x)))
    np.testing.assert_array_less(np.abs(x.var(0) - var), 5 * var * np.sqrt(2 / len(x)))


def test_uniform_stays_in_its_interval() -> None:
    x = load_random("uniform", shape=(1000, 4)).arrays["x"]
    assert x.min() >= 0
    assert x.max() < 1


@pytest.mark.parametrize("other", ["gamma", "beta", "dy", "probe"])
def test_random_x_is_independent_of_the_other_generators(other: str) -> None:
    x = load_random("normal", shape=(2000, 4), seed=11).arrays["x"]
    drawn = generator(11, other).standard_normal(x.shape)
    assert abs(np.corrcoef(x.ravel(), drawn.ravel())[0, 1]) < 0.05


def test_random_refuses_an_unknown_word() -> None:
    assert refusal(
        load_random, "cauchy"
    ) == "unknown distribution 'cauchy': use uniform, normal, offset-1e4, " + ", ".join(list(ADVERSARIAL)[1:])


def test_random_needs_a_shape() -> None:
    assert "--shape 5x100x100x3" in refusal(load_random, "uniform", shape=None)


@pytest.mark.parametrize("shape", [(10**12, 10**12), (2,) * 70])
def test_random_refuses_what_memory_cannot_hold(shape: tuple[int, ...]) -> None:
    assert "does not fit in memory: give a smaller --shape" in refusal(load_random, "normal", shape=shape)


# --- images as a person sees them


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm"])
def test_colour(tmp_path: Path, suffix: str) -> None:
    batch = load_image(saved(tmp_path / f"a.{suffix}", COLOUR))
    assert batch.problem.shape == (1, 6, 8, 3)
    assert batch.arrays["x"].dtype == np.float64
    np.testing.assert_array_equal(batch.arrays["x"][0], COLOUR / 255)


def test_grey_has_one_channel(tmp_path: Path) -> None:
    x = load_image(saved(tmp_path / "a.png", GREY)).arrays["x"]
    np.testing.assert_array_equal(x, GREY[None, ..., None] / 255)


def test_jpeg(tmp_path: Path) -> None:
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    x = load_image(saved(tmp_path / "a.jpg", flat, quality=100)).arrays["x"]
    np.testing.assert_allclose(x[0], flat / 255, atol=3 / 255)


def test_one_bit(tmp_path: Path) -> None:
    x = load_image(saved(tmp_path / "a.png", Image.fromarray(GREY > 128))).arrays["x"]
    np.testing.assert_array_equal(x[0, ..., 0], GREY > 128)


def test_palette_is_expanded(tmp_path: Path) -> None:
    paletted = Image.fromarray(COLOUR).quantize(256)
    x = load_image(saved(tmp_path / "a.png", paletted)).arrays["x"]
    np.testing.assert_array_equal(x[0], np.asarray(paletted.convert("RGB")) / 255)


def test_transparency_is_composited_over_white(tmp_path: Path) -> None:
    alpha = np.random.default_rng(2).integers(0, 256, (6, 8, 1), np.uint8)
    x = load_image(saved(tmp_path / "a.png", np.concatenate([COLOUR, alpha], 2))).arrays["x"]
    share = alpha / 255
    np.testing.assert_allclose(x[0], share * COLOUR / 255 + 1 - share, atol=1 / 255)


@pytest.mark.parametrize(("base", "mode"), [(COLOUR, "RGBA"), (GREY, "LA")])
def test_opaque_alpha_is_dropped(tmp_path: Path, base: Any, mode: str) -> None:
    x = load_image(saved(tmp_path / "a.png", base, mode)).arrays["x"]
    np.testing.assert_array_equal(x[0], base.reshape(6, 8, -1) / 255)


def test_transparent_grey_stays_grey(tmp_path: Path) -> None:
    picture = Image.fromarray(GREY).convert("LA")
    picture.putalpha(0)
    np.testing.assert_array_equal(load_image(saved(tmp_path / "a.png", picture)).arrays["x"], np.ones((1, 6, 8, 1)))


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_transparent_palette_entry_is_white(tmp_path: Path, suffix: str) -> None:
    picture = Image.new("P", (4, 2), 0)
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    x = load_image(saved(tmp_path / f"a.{suffix}", picture, transparency=0)).arrays["x"]
    np.testing.assert_array_equal(x[0, 0, 1], np.array([200, 100, 50]) / 255)
    assert x.sum() == pytest.approx(7 * 3 + 350 / 255)


@pytest.mark.parametrize(("pixels", "key"), [(GREY, int(GREY[0, 0])), (COLOUR, tuple(map(int, COLOUR[0, 0])))])
def test_transparent_colour_is_white(tmp_path: Path, pixels: Any, key: Any) -> None:
    x = load_image(saved(tmp_path / "a.png", pixels, transparency=key)).arrays["x"]
    np.testing.assert_array_equal(x[0, 0, 0], np.ones(pixels.ndim * 2 - 3))
    np.testing.assert_array_equal(x[0, 1, 1], np.atleast_1d(pixels[1, 1]) / 255)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda p: p),
        (2, lambda p: p[:, ::-1]),
        (3, lambda p: np.rot90(p, 2)),
        (4, lambda p: p[::-1]),
        (5, lambda p: p.swapaxes(0, 1)),
        (6, lambda p: np.rot90(p, -1)),
        (7, lambda p: np.rot90(p, 2).swapaxes(0, 1)),
        (8, lambda p: np.rot90(p, 1)),
        (9, lambda p: p),  # there is no such value
    ],
)
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int, turned: Any) -> None:
    plain = load_image(saved(tmp_path / "plain.jpg", COLOUR)).arrays["x"][0]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    rotated = load_image(saved(tmp_path / "rotated.jpg", COLOUR, exif=exif)).arrays["x"][0]
    np.testing.assert_array_equal(rotated, turned(plain))


def test_damaged_exif_leaves_the_pixels(tmp_path: Path) -> None:
    plain = load_image(saved(tmp_path / "plain.jpg", COLOUR)).arrays["x"]
    damaged = load_image(saved(tmp_path / "damaged.jpg", COLOUR, exif=b"Exif\0\0not a TIFF header")).arrays["x"]
    np.testing.assert_array_equal(damaged, plain)


@pytest.mark.parametrize(
    ("suffix", "exif"),
    [
        ("png", b"Exif\0\0MM\0*\0"),  # cut short in its header
        ("png", b"Exif\0\0what"),
    ],
)
def test_exif_that_pillow_trips_on_leaves_the_pixels(tmp_path: Path, suffix: str, exif: bytes) -> None:
    plain, damaged = saved(tmp_path / f"plain.{suffix}", COLOUR), saved(tmp_path / f"x.{suffix}", COLOUR, exif=exif)
    np.testing.assert_array_equal(load_image(damaged).arrays["x"], load_image(plain).arrays["x"])
    lazy = image.SOURCE.lazy(Request((str(damaged),)))
    assert lazy.problem.shape == (1, *COLOUR.shape)


def test_a_rotation_is_applied_though_other_exif_is_damaged(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[SOFTWARE] = 6, 19 * "s"
    # Said to be 5 floats, and not the 20 characters that it is: Pillow reads that, but cannot write it anew.
    as_text, as_floats = (SOFTWARE.to_bytes(2, "big") + bytes([0, *of, 0, 0, 0, n]) for *of, n in ((2, 20), (11, 5)))
    assert as_text in exif.tobytes()
    damaged = saved(tmp_path / "damaged.jpg", COLOUR, exif=exif.tobytes().replace(as_text, as_floats))
    plain = load_image(saved(tmp_path / "plain.jpg", COLOUR)).arrays["x"][0]
    np.testing.assert_array_equal(load_image(damaged).arrays["x"][0], np.rot90(plain, -1))
    assert image.SOURCE.lazy(Request((str(damaged),))).problem.shape == (1, 8, 6, 3)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bits_are_kept(tmp_path: Path, suffix: str) -> None:
    deep = np.array([[0, 1, 257], [40000, 65534, 65535]], np.uint16)
    x = load_image(saved(tmp_path / f"a.{suffix}", deep)).arrays["x"]
    np.testing.assert_array_equal(x[0, ..., 0], deep / 65535)


def test_sixteen_bits_of_the_other_byte_order(tmp_path: Path) -> None:
    deep = np.array([[0, 1], [40000, 65535]], ">u2")
    picture = Image.frombytes("I;16B", (2, 2), deep.tobytes())
    x = load_image(saved(tmp_path / "a.tiff", picture)).arrays["x"]
    np.testing.assert_array_equal(x[0, ..., 0], deep.astype(float) / 65535)


def test_sixteen_bits_with_a_transparent_grey(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[7, 300]], np.uint16))
    x = load_image(saved(tmp_path / "a.png", picture, transparency=300)).arrays["x"]
    np.testing.assert_array_equal(x[0, 0, :, 0], [7 / 65535, 1])


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.new("CMYK", (16, 16), (0, 255, 255, 0)))
    np.testing.assert_allclose(load_image(path).arrays["x"][0, 8, 8], [1, 0, 0], atol=0.02)


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_animation_gives_its_first_frame(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "lime")]
    path = saved(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(load_image(path).arrays["x"][0, 0, 0], [1, 0, 0])


@pytest.mark.parametrize("pixels", [GREY, GREY.astype(np.uint16) * 257])
def test_grey_among_colour_becomes_colour(tmp_path: Path, pixels: Any) -> None:
    paths = saved(tmp_path / "a.png", pixels), saved(tmp_path / "b.png", COLOUR)
    x = load_image(*paths).arrays["x"]
    assert x.shape == (2, 6, 8, 3)
    np.testing.assert_allclose(x[0], np.repeat(GREY[..., None] / 255, 3, 2), atol=1e-12)
    np.testing.assert_array_equal(x[1], COLOUR / 255)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_layouts_and_dtypes(tmp_path: Path, dtype: str) -> None:
    paths = saved(tmp_path / "a.png", COLOUR), saved(tmp_path / "b.png", COLOUR[::-1].copy())
    by_layout = {layout: load_image(*paths, layout=layout, dtype=dtype, epsilon=0.5) for layout in Layout}
    last = by_layout[Layout.CHANNELS_LAST].arrays["x"]
    first = by_layout[Layout.CHANNELS_FIRST].arrays["x"]
    assert last.dtype == first.dtype == dtype
    assert first.shape == (2, 3, 6, 8)
    assert first.flags.c_contiguous
    np.testing.assert_array_equal(first, last.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(by_layout[Layout.PER_ACTIVATION].arrays["x"], last)
    for layout, batch in by_layout.items():
        assert (batch.problem.layout, batch.problem.dtype, batch.problem.epsilon) == (layout, dtype, 0.5)
        assert batch.problem.shape == batch.arrays["x"].shape


# --- folders, sizes, copies


def test_folder_is_its_images_by_name(tmp_path: Path) -> None:
    for value, name in enumerate(["c.PNG", "a.png", "b.bmp"]):
        saved(tmp_path / name, np.full((2, 2), value, np.uint8))
    saved(tmp_path / ".hidden.png", COLOUR)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "paper.pdf").write_text("a suffix that Pillow writes but cannot read")
    (tmp_path / "folder.png").mkdir()
    saved(tmp_path / "folder.png" / "deeper.png", COLOUR)
    x = load_image(tmp_path).arrays["x"]
    np.testing.assert_array_equal(x[:, 0, 0, 0] * 255, [1, 2, 0])


def test_files_and_folders_come_in_the_order_given(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    inside = saved(tmp_path / "folder" / "a.png", np.full((2, 2), 1, np.uint8))
    outside = saved(tmp_path / "b.png", np.full((2, 2), 2, np.uint8))
    x = load_image(outside, tmp_path / "folder", inside).arrays["x"]
    np.testing.assert_array_equal(x[:, 0, 0, 0] * 255, [2, 1, 1])


def test_folder_without_an_image(tmp_path: Path) -> None:
    message = refusal(load_image, tmp_path)
    assert message.startswith(f"there is no image in the folder {str(tmp_path)!r}")


def test_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    # Root may read every folder, so the refusal is played.
    monkeypatch.setattr(Path, "iterdir", refused)
    assert refusal(load_image, tmp_path) == (
        f"cannot read {str(tmp_path)!r}: permission denied; check its name and its permissions"
    )


def test_different_sizes_name_two_files(tmp_path: Path) -> None:
    one, same, other = (
        saved(tmp_path / name, COLOUR[:, :width]) for name, width in [("one.png", 8), ("same.png", 8), ("other.png", 5)]
    )
    assert refusal(load_image, one, same, other) == (
        f"the images differ in size: {str(one)!r} is 8x6 and {str(other)!r} is 5x6; make them equal with --resize 8x6"
    )


def test_resize_makes_sizes_equal(tmp_path: Path) -> None:
    paths = saved(tmp_path / "a.png", COLOUR), saved(tmp_path / "b.png", GREY[:3, :3])
    x = load_image(*paths, resize=(5, 4)).arrays["x"]
    assert x.shape == (2, 4, 5, 3)
    expected = Image.fromarray(COLOUR).resize((5, 4), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(x[0], np.asarray(expected) / 255)


def test_resize_comes_after_rotation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    halves = np.repeat(np.array([[255] * 16, [0] * 16], np.uint8), 8, 0)
    x = load_image(saved(tmp_path / "a.jpg", halves, exif=exif), resize=(4, 6)).arrays["x"]
    assert x.shape == (1, 6, 4, 1)
    assert x[..., 0, 0].max() < 0.2
    assert x[..., -1, 0].min() > 0.8


def test_resize_keeps_sixteen_bits_in_range(tmp_path: Path) -> None:
    deep = np.repeat(np.array([[0, 1000, 65535, 65535]], np.uint16), 4, 0)
    x = load_image(saved(tmp_path / "a.png", deep), resize=(9, 9)).arrays["x"]
    assert x.min() == 0
    assert x.max() == 1
    assert (np.abs(x * 255 - np.round(x * 255)) > 0.01).any()


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (10**6, 10**6)])
def test_resize_refuses_sizes_that_cannot_be(tmp_path: Path, size: tuple[int, int]) -> None:
    message = refusal(load_image, saved(tmp_path / "a.png", GREY), resize=size)
    assert message.startswith(f"cannot resize to {size[0]}x{size[1]}: ask for")


def test_copies_are_seeded_in_range_and_different(tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
    paths = saved(tmp_path / "a.png", pixels), saved(tmp_path / "b.png", pixels[::-1].copy())
    first, again, other = (load_image(*paths, copies=4, seed=seed).arrays["x"] for seed in (1, 1, 2))
    assert first.shape == (8, 20, 30, 3)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert first.min() >= 0
    assert first.max() <= 1
    assert len({copy.tobytes() for copy in first}) == 8


@pytest.mark.parametrize("layout", Layout)
def test_copies_are_the_image_brightened_and_shifted(tmp_path: Path, layout: Layout) -> None:
    # Dark enough that brightening never clips.
    pixels = np.random.default_rng(4).integers(1, 150, (20, 30), np.uint8)
    copies = load_image(saved(tmp_path / "a.png", pixels), copies=5, layout=layout).arrays["x"].reshape(5, 20, 30)
    for copy in copies:
        factor = copy.sum() / (pixels / 255).sum()
        assert 0.7 <= factor <= 1.3
        shifts = [
            shift
            for shift in np.ndindex(5, 7)
            if np.allclose(np.roll(pixels, (shift[0] - 2, shift[1] - 3), (0, 1)) / 255 * factor, copy)
        ]
        assert len(shifts) == 1


def test_one_copy_is_the_image_itself(tmp_path: Path) -> None:
    x = load_image(saved(tmp_path / "a.png", COLOUR), copies=1).arrays["x"]
    np.testing.assert_array_equal(x[0], COLOUR / 255)


@pytest.mark.parametrize("copies", [0, -3])
def test_fewer_than_one_copy(tmp_path: Path, copies: int) -> None:
    path = saved(tmp_path / "a.png", GREY)
    assert refusal(load_image, path, copies=copies) == f"cannot make {copies} copies of an image: ask for 1 or more"


@pytest.mark.parametrize("copies", [10**8, 10**13, 10**30])
def test_more_copies_than_memory(tmp_path: Path, copies: int) -> None:
    message = refusal(load_image, saved(tmp_path / "a.png", np.zeros((1000, 1000), np.uint8)), copies=copies)
    assert message.startswith(f"{copies} images of 1000x1000 would take about ")
    assert message.endswith(" are free: use fewer, or a smaller --resize")


def test_copies_for_which_the_memory_does_not_suffice_after_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bncli.core.memory.require", lambda *asked: None)  # what is free then has gone since
    path = saved(tmp_path / "a.png", np.zeros((1000, 1000), np.uint8))
    for copies in (10**8, 10**13):
        message = refusal(load_image, path, copies=copies)
        assert message == f"{copies} images do not fit in memory: use fewer, or a smaller --resize"


# --- images that cannot be read


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tiff"])
def test_truncated_image(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"a.{suffix}", np.tile(COLOUR, (5, 5, 1)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    message = refusal(load_image, path)
    assert message.startswith(f"cannot read {str(path)!r} as an image: Pillow cannot decode it (")
    assert message.endswith("; save it again, as PNG or JPEG")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_image_is_read_or_refused_in_one_line(tmp_path: Path, data: st.DataObject) -> None:
    stream = io.BytesIO()
    Image.fromarray(COLOUR).save(stream, data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP"])))
    held = bytearray(stream.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(held) - 1), max_size=4)):
        held[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.png"
    path.write_bytes(bytes(held[: data.draw(st.integers(0, len(held)))]))
    assert "\n" not in refusal_if_any(load_image, path)


def test_empty_image(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.touch()
    assert refusal(load_image, path) == f"cannot read {str(path)!r} as an image: it is empty; save it again"


@pytest.mark.parametrize("held", [b"hello, I am text", b"\x89PNG\r\n\x1a\n", b"\x00" * 500])
def test_not_an_image(tmp_path: Path, held: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(held)
    assert refusal(load_image, path).startswith(f"cannot read {str(path)!r} as an image: ")


def test_suffix_may_lie(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", COLOUR, format="PNG")
    np.testing.assert_array_equal(load_image(path).arrays["x"][0], COLOUR / 255)


def test_missing_image(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    assert refusal(load_image, path) == (
        f"cannot read {str(path)!r} as an image: no such file or directory; check its name and its permissions"
    )


def test_newline_in_a_name_stays_in_one_line(tmp_path: Path) -> None:
    refusal(load_image, tmp_path / "a\nb.png")
    refusal(load_array, tmp_path / "a\nb.npy")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipes_are_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "it is not a regular file" in refusal(load_image, tmp_path / "pipe")
    assert "it is not a file" in refusal(load_array, tmp_path / "pipe")


@pytest.mark.parametrize("limit", [30, 10])
def test_more_pixels_than_pillow_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    path = saved(tmp_path / "a.png", GREY)
    # 48 pixels: Pillow warns above its limit, and refuses above twice that.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert f"it is above Pillow's limit of {limit} pixels; make it smaller" in refusal(load_image, path)


def test_no_limit_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert load_image(saved(tmp_path / "a.png", GREY), resize=(3, 3)).problem.shape == (1, 3, 3, 1)


def test_floating_point_pixels(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tiff", np.zeros((2, 2), np.float32))
    assert "its pixels are floating-point, of unknown range; save it as 16-bit grey" in refusal(load_image, path)


def test_values_beyond_sixteen_bits(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tiff", np.array([[5, 70000]], np.int32))
    assert "its values go from 5 to 70000; save it as 16-bit grey, 0 to 65535" in refusal(load_image, path)


def test_what_pillow_says_of_a_damaged_file_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def noisy(*_: Any, **__: Any) -> None:
        warnings.warn("Truncated File Read", UserWarning, stacklevel=1)
        raise ZeroDivisionError

    path = saved(tmp_path / "a.png", GREY)
    monkeypatch.setattr("PIL.Image.open", noisy)
    assert "Pillow cannot decode it (ZeroDivisionError)" in refusal(load_image, path)
    assert capfd.readouterr() == ("", "")


# --- arrays

X = np.random.default_rng(5).standard_normal((4, 3, 2))


def npy_saved(path: Path, held: Any, **options: Any) -> Path:
    with path.open("wb") as file:
        np.save(file, held, **options)
    return path


def npz_saved(path: Path, **held: Any) -> Path:
    with path.open("wb") as file:
        np.savez(file, **held)
    return path


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_npy_keeps_its_dtype(tmp_path: Path, dtype: str) -> None:
    batch = load_array(npy_saved(tmp_path / "x.npy", X.astype(dtype)), layout=Layout.CHANNELS_FIRST, epsilon=0.5)
    assert batch.problem.dtype == batch.arrays["x"].dtype == dtype
    assert (batch.problem.shape, batch.problem.layout, batch.problem.epsilon) == (X.shape, Layout.CHANNELS_FIRST, 0.5)
    np.testing.assert_array_equal(batch.arrays["x"], X.astype(dtype))
    assert list(batch.arrays) == ["x"]


@pytest.mark.parametrize("asked", ["float16", "float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "int16", ">f8"])
def test_a_dtype_that_is_asked_for_wins(tmp_path: Path, dtype: str, asked: str) -> None:
    held = (X * 10).astype(dtype)
    batch = load_array(npy_saved(tmp_path / "x.npy", held), dtype=asked)
    assert batch.problem.dtype == batch.arrays["x"].dtype == asked
    np.testing.assert_array_equal(batch.arrays["x"], held.astype(asked))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "uint64", ">i4", "longdouble"])
def test_other_numbers_become_float64(tmp_path: Path, dtype: str) -> None:
    held = np.abs(X * 10).astype(dtype)
    batch = load_array(npy_saved(tmp_path / "x.npy", held))
    assert batch.arrays["x"].dtype == np.float64
    np.testing.assert_array_equal(batch.arrays["x"], held.astype(np.float64))


@pytest.mark.parametrize("dtype", [">f2", ">f4", ">f8"])
def test_byte_order_becomes_native(tmp_path: Path, dtype: str) -> None:
    x = load_array(npy_saved(tmp_path / "x.npy", X.astype(dtype))).arrays["x"]
    assert x.dtype == np.dtype(dtype).newbyteorder("=")
    assert x.dtype.isnative
    np.testing.assert_array_equal(x, X.astype(dtype))


def test_fortran_order(tmp_path: Path) -> None:
    batch = load_array(npy_saved(tmp_path / "x.npy", np.asfortranarray(X)))
    np.testing.assert_array_equal(batch.arrays["x"], X)
    case = complete(batch.problem, batch.arrays, seed=0)
    assert case.x.flags.c_contiguous
    np.testing.assert_array_equal(case.x.reshape(X.shape), X)


def test_npy_of_format_two(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with path.open("wb") as file:
        np.lib.format.write_array(file, X, version=(2, 0))
    np.testing.assert_array_equal(load_array(path).arrays["x"], X)


def test_npy_that_python_2_wrote(tmp_path: Path) -> None:
    path = npy_saved(tmp_path / "x.npy", X)
    path.write_bytes(path.read_bytes().replace(b"(4, 3, 2), ", b"(4L,3L,2L),", 1))
    np.testing.assert_array_equal(load_array(path).arrays["x"], X)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_brings_what_goes_with_x(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "case.npz"
    flat = np.arange(6.0)
    save(path, x=X.astype("f4"), gamma=flat, beta=flat.astype(int), dy=X, mean=flat, var=flat.astype("f4"), more=flat)
    arrays = load_array(path).arrays
    assert {name: held.dtype.name for name, held in arrays.items()} == {
        **dict.fromkeys(("x", "gamma", "beta", "dy"), "float32"),
        **dict.fromkeys(("mean", "var"), "float64"),
    }
    np.testing.assert_array_equal(arrays["dy"], X.astype("f4"))
    np.testing.assert_array_equal(arrays["beta"], flat)


def test_npz_may_hold_x_alone_beside_what_is_ignored(tmp_path: Path) -> None:
    # What is ignored is not even read, so it may be anything.
    path = npz_saved(tmp_path / "x.npz", x=X, labels=np.array([{}], object))
    assert list(load_array(path).arrays) == ["x"]


def test_the_content_not_the_suffix_says_what_it_is(tmp_path: Path) -> None:
    np.testing.assert_array_equal(load_array(npy_saved(tmp_path / "x.npz", X)).arrays["x"], X)
    np.testing.assert_array_equal(load_array(npz_saved(tmp_path / "x.dat", x=X)).arrays["x"], X)


def test_misfits_are_left_to_the_case(tmp_path: Path) -> None:
    batch = load_array(npz_saved(tmp_path / "x.npz", x=X, gamma=np.ones(99)))
    with pytest.raises(InputError, match="gamma has shape"):
        complete(batch.problem, batch.arrays, seed=0)


@pytest.mark.parametrize(("held", "named"), [({"a": X, "gamma": X}, "'a', 'gamma'"), ({}, "nothing")])
def test_npz_without_x_says_what_is_there(tmp_path: Path, held: dict[str, Any], named: str) -> None:
    path = npz_saved(tmp_path / "x.npz", **held)
    assert refusal(load_array, path) == (
        f"cannot use {str(path)!r}: it holds {named} but no x; save it with numpy.savez(path, x=x)"
    )


def test_npz_with_very_many_arrays_names_a_few(tmp_path: Path) -> None:
    message = refusal(load_array, npz_saved(tmp_path / "x.npz", **{f"array{i}": X for i in range(50)}))
    assert "'array0'" in message
    assert "..." in message
    assert len(message) < 300 + len(str(tmp_path))


@pytest.mark.parametrize("kind", ["npy", "npz"])
@pytest.mark.parametrize(
    ("held", "why"),
    [
        (np.array([[{}, 1], [2, 3]], object), "x holds Python objects, which are never unpickled"),
        (np.array([["a", "b"]]), "x has dtype <U1; save it as real numbers"),
        (np.zeros((2, 2), complex), "x has dtype complex128"),
        (np.zeros((2, 2), "M8[s]"), "x has dtype datetime64"),
        (np.zeros((2, 2), [("a", "f8")]), "x has dtype [('a', '<f8')]"),
        (np.zeros((2, 2), [("a", object)]), "x holds Python objects"),
        (np.zeros((2, 2), [("\u03b1", "f8")]), "x is in .npy format 3.0"),
        (np.float64(3), "shape '' has no feature axis"),
        (np.zeros(7), "shape '7' has no feature axis"),
        (np.zeros((3, 0)), "shape '3x0' is empty"),
    ],
)
def test_arrays_that_cannot_be_x(tmp_path: Path, kind: str, held: Any, why: str) -> None:
    path = tmp_path / f"x.{kind}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        npy_saved(path, held) if kind == "npy" else npz_saved(path, x=held)
    message = refusal(load_array, path)
    assert message.startswith(f"cannot use {str(path)!r}: {why}")


def test_the_array_that_is_refused_is_named(tmp_path: Path) -> None:
    path = npz_saved(tmp_path / "x.npz", x=X, dy=X + 1j)
    assert "dy has dtype complex128" in refusal(load_array, path)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(pickle.dumps(X))
    assert "it is neither .npy nor .npz" in refusal(load_array, path)


@pytest.mark.parametrize(("value", "dtype"), [(1e6, "float16"), (-1e300, "float32")])
def test_values_that_the_dtype_cannot_hold(tmp_path: Path, value: float, dtype: str) -> None:
    path = npz_saved(tmp_path / "x.npz", x=np.zeros((2, 2), dtype), dy=np.full((2, 2), value))
    message = refusal(load_array, path)
    assert f"dy holds {value}, too large for {dtype}; scale it or use a wider --dtype" in message


def test_infinities_and_nans_pass(tmp_path: Path) -> None:
    held = np.array([[np.inf, -np.inf], [np.nan, 1]])
    np.testing.assert_array_equal(load_array(npy_saved(tmp_path / "x.npy", held), dtype="float16").arrays["x"], held)


# --- array files that cannot be read


def lying_npy(shape: tuple[int, ...], data: bytes = b"\0" * 64) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


@pytest.mark.parametrize("compression", [None, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("shape", [(3, 3), (10**9, 10**9), (10**15, 10**30)])
def test_header_that_claims_too_much_allocates_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], compression: int | None
) -> None:
    path = tmp_path / "x"
    if compression is None:
        path.write_bytes(lying_npy(shape))
    else:
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr("x.npy", lying_npy(shape))
    monkeypatch.setattr(array._npy.npy, "read_array", lambda *_, **__: pytest.fail("the array was read"))
    claimed = 8 * shape[0] * shape[1]
    assert f"x should take {claimed} bytes but 64 are there: it is truncated; save it again" in refusal(
        load_array, path
    )


def test_zip_directory_that_lies_too(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", lying_npy((1000, 1000)))
    held = path.read_bytes()
    size = len(lying_npy(())).to_bytes(4, "little")
    path.write_bytes(held.replace(size, (8_001_000).to_bytes(4, "little")))
    assert refusal(load_array, path).endswith(
        "it is truncated or damaged; save it again with numpy.save or numpy.savez"
    )


@pytest.mark.parametrize("shape", [(-2, -2), (-1, 4)])
def test_negative_axes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(lying_npy(shape))
    assert f"x has shape {shape}: it is damaged" in refusal(load_array, path)


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_array_file_cut_anywhere(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    npy_saved(path, X) if kind == "npy" else npz_saved(path, x=X)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert refusal(load_array, path).startswith(f"cannot use {str(path)!r}: ")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_array_file_is_read_or_refused_in_one_line(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "x"
    npy_saved(path, X) if data.draw(st.booleans()) else npz_saved(path, x=X, gamma=X[0])
    held = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(held) - 1), min_size=1, max_size=4)):
        held[place] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(held))
    assert "\n" not in refusal_if_any(load_array, path)


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (b"", "it is empty; save it again"),
        (b"1,2,3\n4,5,6\n", "it is neither .npy nor .npz; save it with numpy.save or numpy.savez"),
        (b"\x93NUMPY", "it is truncated or damaged"),
        (b"PK\x03\x04", "it is truncated or damaged"),
    ],
)
def test_files_that_hold_no_array(tmp_path: Path, held: bytes, why: str) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(held)
    assert refusal(load_array, path).startswith(f"cannot use {str(path)!r}: {why}")


def test_missing_array_and_folder(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    assert refusal(load_array, path) == (
        f"cannot use {str(path)!r}: no such file or directory; give a .npy or .npz file"
    )
    assert refusal(load_array, tmp_path).startswith(f"cannot use {str(tmp_path)!r}: it is not a file")


def test_array_that_memory_cannot_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(array._npy.npy, "read_array", exhausted)
    assert "it does not fit in memory" in refusal(load_array, npy_saved(tmp_path / "x.npy", X))


# --- all of them


@pytest.mark.parametrize("module", [random, image, array])
def test_sources_say_what_they_take(module: Any) -> None:
    source = module.SOURCE
    assert re.fullmatch(r"[A-Z].*\.", source.help)
    assert bool(source.choices) == source.shaped == (module is random)
    assert source.repeatable == (module is image)


# What breaks kernels, each with the property that it is named after, in every layout and dtype.


def largest(dtype: str) -> float:
    return float(np.finfo(dtype).max)


ADVERSARIAL = {
    "offset-1e4": lambda x, dtype: abs(x.mean() / 1e4 - 1) < 0.01,
    "offset-1e6": lambda x, dtype: abs(x.mean() / min(1e6, largest(dtype) / 4) - 1) < 0.01,
    "constant": lambda x, dtype: (np.ptp(x, axis=(0, 2)) == 0).all() and np.ptp(x) > 0,
    "huge": lambda x, dtype: largest(dtype) / 1e5 < (x * x).mean((0, 2)).min() < largest(dtype),
    "tiny": lambda x, dtype: np.median(np.abs(x)) < np.finfo(dtype).smallest_normal and np.abs(x).max() > 0,
    "outlier": lambda x, dtype: (np.abs(x).max((0, 2)) > 1e3 * np.median(np.abs(x), axis=(0, 2))).all(),
    "sorted": lambda x, dtype: (np.diff(x.transpose(1, 0, 2).reshape(x.shape[1], -1)) >= 0).all(),
    "alternating": lambda x, dtype: (np.diff(np.sign(x.transpose(1, 0, 2).reshape(x.shape[1], -1))) != 0).all(),
    "nan": lambda x, dtype: np.isnan(x).any((0, 2)).sum() == np.isnan(x).sum() == 1,
    "inf": lambda x, dtype: np.isinf(x).any((0, 2)).sum() == np.isinf(x).sum() == 1,
}


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_data_are_what_they_are_named_after(name: str, dtype: str, layout: Layout) -> None:
    batch = load_random(name, shape=(8, 5, 6, 7), dtype=dtype, layout=layout, seed=2)
    x = batch.problem.canonical(batch.arrays["x"])
    assert ADVERSARIAL[name](x.astype(np.float64), dtype)
    assert np.isfinite(x).all() or name in ("nan", "inf")


def test_every_distribution_is_benign_or_known_to_be_adversarial() -> None:
    assert set(random.SOURCE.choices) == {"uniform", "normal", *ADVERSARIAL}
