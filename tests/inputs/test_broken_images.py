"""Images that cannot be read."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from loading_inputs import COLOUR, GREY, load_array, load_image, refusal, refusal_if_any, saved


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


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n",
            "it is a Git LFS pointer, not the file itself",
        ),
        (b"<!DOCTYPE html>\n<html><body>404", "it is an HTML page: the download gave a page of the site"),
        (b"\x1f\x8b\x08\0\0\0", "it is compressed by gzip; unpack it first: gunzip"),
    ],
)
def test_what_a_file_is_instead_of_an_image_is_said(tmp_path: Path, held: bytes, why: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(held)
    assert refusal(load_image, path).startswith(f"cannot read {str(path)!r} as an image: {why}")


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
    assert "its values range from 5 to 70000; save it as 16-bit grey, 0 to 65535" in refusal(load_image, path)


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
