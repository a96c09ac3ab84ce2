"""Array files that cannot be read."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bncli.inputs import array
from loading_inputs import X, load_array, npy_saved, npz_saved, refusal, refusal_if_any


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
    assert f"x should take {claimed} bytes but has 64: it is truncated; save it again" in refusal(load_array, path)


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

    monkeypatch.setattr(array._npy, "_read_on_all_cores", exhausted)
    assert "it does not fit in memory" in refusal(load_array, npy_saved(tmp_path / "x.npy", X))


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="the system cannot read a file in parts")
def test_a_file_that_becomes_shorter_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array._npy.os, "preadv", lambda file, parts, offset: 0)
    said = refusal(load_array, npy_saved(tmp_path / "x.npy", X))
    assert said.endswith("x has become shorter while it was read; read it again")
