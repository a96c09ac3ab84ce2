"""Files of other formats: what they are is said, and the line of Python that converts them does."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from bncli.core.source import Request
from bncli.inputs import array
from loading_inputs import X, load_array, npy_saved, refusal

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
OTHERS = [
    (LFS, "it is a Git LFS pointer, not the file itself: run git lfs pull"),
    (b"<!DOCTYPE html>\n<html><body>404", "it is an HTML page: the download gave a page of the site"),
    (b"\n\n  <!-- saved -->\n<HTML lang='en'>", "it is an HTML page"),
    (b"\x1f\x8b\x08\0\0\0\0\0", "it is compressed by gzip; unpack it first: gunzip "),
    (b"\x89HDF\r\n\x1a\n" + bytes(90), "it is HDF5; convert its array x in Python: import h5py, numpy; "),
    (bytes(512) + b"\x89HDF\r\n\x1a\n", "it is HDF5"),
    (b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "it is of MATLAB; convert its array x in Python: import numpy, scipy"),
    (
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
        "it is of PyTorch; convert its tensor in Python: import numpy, torch",
    ),
    (b"\x80\x04\x95", "it is a pickle, which could run code and is never loaded"),
    (b"PAR1", "it is Parquet"),
]


@pytest.mark.parametrize(("held", "why"), OTHERS)
def test_what_a_file_is_is_said(tmp_path: Path, held: bytes, why: str) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(held)
    assert refusal(load_array, path).startswith(f"cannot use {str(path)!r}: {why}")
    assert why in refusal(array.SOURCE.lazy, Request((str(path),)))


def converted(path: Path) -> None:
    """Run the line of Python that the error for ``path`` gives, and expect X."""
    line = refusal(load_array, path).partition("in Python: ")[2]
    exec(line, {})  # noqa: S102, the line that the user is told to run
    np.testing.assert_array_equal(load_array(path.with_suffix(".npy")).arrays["x"], X)


def test_hdf5_is_converted_as_the_error_says(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "it's.h5", "w") as file:
        file["x"] = X
    converted(tmp_path / "it's.h5")


def test_matlab_is_converted_as_the_error_says(tmp_path: Path) -> None:
    io = pytest.importorskip("scipy.io")
    io.savemat(tmp_path / "a.mat", {"x": X})
    converted(tmp_path / "a.mat")


@pytest.mark.parametrize("new", [True, False])
def test_pytorch_is_converted_as_the_error_says(tmp_path: Path, new: bool) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.tensor(X, requires_grad=True), tmp_path / "a.pt", _use_new_zipfile_serialization=new)
    converted(tmp_path / "a.pt")


def test_gzip_is_unpacked_as_the_error_says(tmp_path: Path) -> None:
    plain = npy_saved(tmp_path / "x.npy", X).read_bytes()
    (tmp_path / "x.npy.gz").write_bytes(gzip.compress(plain))
    path = tmp_path / "x.npy.gz"
    assert refusal(load_array, path).endswith(f"it is compressed by gzip; unpack it first: gunzip {str(path)!r}")
