"""The safetensors format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loading_inputs import X, load_array, refusal, refusal_if_any


def written(path: Path, header: Any, data: bytes) -> Path:
    held = json.dumps(header).encode()
    held += b" " * (-len(held) % 8)
    path.write_bytes(len(held).to_bytes(8, "little") + held + data)
    return path


def facts(dtype: str, shape: tuple[int, ...], first: int, last: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}


@pytest.mark.parametrize(
    ("stored", "dtype"), [("F64", "f8"), ("F32", "f4"), ("F16", "f2"), ("I32", "i4"), ("U8", "u1")]
)
def test_arrays_by_name(tmp_path: Path, stored: str, dtype: str) -> None:
    x, gamma = np.abs(X * 10).astype(dtype), np.arange(6).astype("f4")
    header = {
        "__metadata__": {"format": "pt"},
        "gamma": facts("F32", gamma.shape, 0, gamma.nbytes),
        "other": facts("F8_E4M3", (0,), 0, 0),
        "x": facts(stored, x.shape, gamma.nbytes, gamma.nbytes + x.nbytes),
    }
    batch = load_array(written(tmp_path / "a.safetensors", header, gamma.tobytes() + x.tobytes()))
    assert batch.arrays.keys() == {"x", "gamma"}
    np.testing.assert_array_equal(batch.arrays["x"], x.astype(batch.problem.dtype))
    np.testing.assert_array_equal(batch.arrays["gamma"], gamma)
    assert batch.problem.dtype == (np.dtype(dtype).name if dtype[0] == "f" else "float64")


def test_bfloat16_is_exact_in_float32_and_a_lone_array_is_x(tmp_path: Path) -> None:
    exact = (X.astype("f4").view("u4") & 0xFFFF0000).view("f4")
    data = (exact.view("u4") >> 16).astype("<u2").tobytes()
    batch = load_array(written(tmp_path / "a.safetensors", {"activations": facts("BF16", X.shape, 0, len(data))}, data))
    assert batch.problem.dtype == "float32"
    np.testing.assert_array_equal(batch.arrays["x"], exact)


def test_what_the_package_writes(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    safetensors.save_file({"x": X, "dy": X[::-1].copy()}, tmp_path / "a.safetensors")
    arrays = load_array(tmp_path / "a.safetensors").arrays
    np.testing.assert_array_equal(arrays["x"], X)
    np.testing.assert_array_equal(arrays["dy"], X[::-1])


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"x": facts("F8_E4M3", (2, 2), 0, 4)}, "x has dtype F8_E4M3; save it as real numbers, F32 for instance"),
        ({"x": facts("F32", (2, 2), 0, 12)}, "x has shape (2, 2) and bytes 0 to 12: it is damaged"),
        ({"x": facts("F32", (2, 9), 0, 72)}, "x has shape (2, 9) and bytes 0 to 72: it is damaged"),
        ({"x": facts("F32", (-2, -2), 0, 16)}, "x has shape (-2, -2) and bytes 0 to 16: it is damaged"),
        ({"x": facts("F32", (2, 2), -16, 0)}, "x has shape (2, 2) and bytes -16 to 0: it is damaged"),
        ({"a": facts("F32", (1,), 0, 4), "b": facts("F32", (1,), 4, 8)}, "it holds 'a', 'b' but no x"),
        ({}, "it holds nothing but no x"),
        ({"x": {"dtype": "F32"}}, "it is truncated or damaged"),
        ({"x": facts("F32", (2, "2"), 0, 16)}, "it is truncated or damaged"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, header: Any, why: str) -> None:
    path = written(tmp_path / "a.safetensors", header, b"\0" * 16)
    assert refusal(load_array, path).startswith(f"cannot use {str(path)!r}: {why}")


def test_a_file_cut_anywhere(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", {"x": facts("F64", (2, 2), 0, 32)}, b"\0" * 32)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert refusal_if_any(load_array, path).startswith(f"cannot use {str(path)!r}: ")
