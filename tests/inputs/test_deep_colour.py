"""Colour of more than 8 bits, with the package that keeps them and without."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bncli.core.source import Request
from bncli.inputs import _deep, image
from loading_inputs import load_image, refusal

RNG = np.random.default_rng(7)
COLOURS = RNG.integers(0, 65536, (6, 8, 3), np.uint16)
ALPHA = RNG.integers(0, 65536, (6, 8, 1), np.uint16)
LOST = "of colours in more than 8 bits, 8 are read: 1 of 1 images, such as {} with 16; pip install 'bncli[colour16]'"


def png(path: Path, pixels: Any, *more: tuple[bytes, bytes]) -> Path:
    height, width, channels = pixels.shape
    kind = {2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    chunks = [(b"IHDR", head), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    written = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(written))
    return path


def tiff(path: Path, pixels: Any, planes: int = 1) -> Path:
    """A TIFF of 16-bit colour with one strip for all, or one for each plane."""
    height, width, _ = pixels.shape
    data = (pixels if planes == 1 else pixels.transpose(2, 0, 1)).astype("<u2").tobytes()
    count = 3 if planes == 2 else 1
    size, at = len(data) // count, 8 + 2 + 10 * 12 + 4
    arrays = struct.pack("<3H", 16, 16, 16) + struct.pack("<3I", *(at + 30 + size * n for n in range(3)))
    arrays += struct.pack("<3I", size, size, size)
    places = (at + 6, at + 18) if count == 3 else (at + 30, size)
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, at), (259, 3, 1, 1), (262, 3, 1, 2),
            (273, 4, count, places[0]), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, count, places[1]),
            (284, 3, 1, planes)]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, 8) + directory + arrays + data)
    return path


def ppm(path: Path, pixels: Any) -> Path:
    height, width, _ = pixels.shape
    path.write_bytes(b"P6 %d %d 65535\n" % (width, height) + pixels.astype(">u2").tobytes())
    return path


@pytest.fixture(params=[png, tiff, ppm])
def stored(tmp_path: Path, request: Any) -> Path:
    path: Path = request.param(tmp_path / f"a.{request.param.__name__}", COLOURS)
    return path


def test_without_opencv_a_warning_says_what_is_lost(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_deep, "find_spec", lambda name: None)
    batch = load_image(stored)
    np.testing.assert_allclose(batch.arrays["x"][0], COLOURS / 65535, atol=1 / 255)
    for found in (batch, image.SOURCE.lazy(Request((str(stored),)))):
        (said,) = found.warnings
        assert said.startswith(LOST.format(repr(str(stored))))


def test_opencv_keeps_every_bit(stored: Path) -> None:
    pytest.importorskip("cv2")
    for found in (load_image(stored), image.SOURCE.lazy(Request((str(stored),)))):
        assert found.warnings == ()
    np.testing.assert_array_equal(load_image(stored).arrays["x"][0], COLOURS / 65535)
    resized = load_image(stored, resize=(3, 3)).arrays["x"]
    assert resized.shape == (1, 3, 3, 3)
    assert (np.abs(resized * 255 - np.round(resized * 255)) > 0.01).any()


def test_opencv_keeps_every_bit_of_every_page(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    pages = [COLOURS, COLOURS[::-1].copy(), COLOURS[:, ::-1].copy()]
    path = tmp_path / "a.tiff"
    cv2.imwritemulti(str(path), [np.ascontiguousarray(page[..., ::-1]) for page in pages])
    batch = load_image(path, frames="all")
    assert batch.warnings == ()
    np.testing.assert_array_equal(batch.arrays["x"], np.stack(pages) / 65535)


def test_transparency_is_composited_over_white_in_16_bits(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    share = ALPHA / 65535
    x = load_image(png(tmp_path / "a.png", np.concatenate([COLOURS, ALPHA], 2))).arrays["x"][0]
    np.testing.assert_allclose(x, share * COLOURS / 65535 + 1 - share, atol=1e-6)
    key = COLOURS[0, 0]
    keyed = load_image(png(tmp_path / "b.png", COLOURS, (b"tRNS", key.astype(">u2").tobytes()))).arrays["x"][0]
    np.testing.assert_array_equal(keyed[0, 0], [1, 1, 1])
    np.testing.assert_allclose(keyed[1:], COLOURS[1:] / 65535, atol=1e-6)


@pytest.mark.parametrize("package", [True, False])
def test_grey_with_alpha_in_16_bits_stays_grey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: bool) -> None:
    if package:
        pytest.importorskip("cv2")
    else:
        monkeypatch.setattr(_deep, "find_spec", lambda name: None)
    path = png(tmp_path / "a.png", np.concatenate([COLOURS[..., :1], ALPHA], 2))
    x, share = load_image(path).arrays["x"][0], ALPHA / 65535
    assert x.shape == (6, 8, 1)
    assert image.SOURCE.lazy(Request((str(path),))).problem.shape == (1, 6, 8, 1)
    expected = share * COLOURS[..., :1] / 65535 + 1 - share
    np.testing.assert_allclose(x, expected, atol=1e-6 if package else 2 / 255)


def test_separate_planes_are_refused_rather_than_misread(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tiff", COLOURS, planes=2)
    assert "it is a TIFF with 16-bit colours in separate planes, which is misread; save it as PNG" in refusal(
        load_image, path
    )


def test_a_reading_that_differs_from_pillows_is_not_taken(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    held = png(tmp_path / "a.png", COLOURS).read_bytes()
    for shallow in (Image.new("RGB", (8, 6)), Image.new("RGB", (9, 6))):
        assert _deep.read(held, shallow, grey=False) is None
    assert _deep.read(b"no image", Image.new("RGB", (8, 6)), grey=False) is None


def test_jpeg_2000_and_avif_say_their_precision(tmp_path: Path) -> None:
    head = b"\0\0\0\x0cjP  \r\n\x87\n" + b"\xff\x51" + bytes(38) + b"\x0f" + b"\x01\x01"
    shown = Image.new("RGB", (2, 2))
    for kind, held, bits in [
        ("JPEG2000", head, 16),
        ("JPEG2000", b"", 8),
        ("AVIF", b"....pixi" + bytes(4) + b"\x03\x0a\x0a\x0a", 10),
    ]:
        shown.format = kind
        assert _deep.depth(shown, held) == bits


def test_heic_says_its_precision(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    deep = heif.from_bytes("RGB;16", (64, 64), bytes(2 * 3 * 64 * 64))
    deep.save(tmp_path / "a.heic", quality=50)
    batch = load_image(tmp_path / "a.heic")
    assert batch.problem.shape == (1, 64, 64, 3)
    assert "1 of 1 images, such as" in batch.warnings[0]
    assert "with 1" in batch.warnings[0]
    assert ("pip install" in batch.warnings[0]) == (not _deep.is_here())
