"""Images as a person sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bncli.core.layout import Layout
from bncli.core.source import Request
from bncli.inputs import image
from loading_inputs import COLOUR, GREY, ORIENTATION, SOFTWARE, load_image, saved


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
