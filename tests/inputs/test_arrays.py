"""Array files: their dtype, their shape, and what goes with x."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bncli.core.case import complete
from bncli.core.layout import Layout
from bncli.errors import InputError
from bncli.inputs import array
from loading_inputs import X, load_array, npy_saved, npz_saved, refusal


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


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float16", "float32", ">f8"])
def test_a_file_that_is_read_in_parts(tmp_path: Path, dtype: str, order: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array._npy, "PART", 7)
    batch = load_array(npy_saved(tmp_path / "x.npy", np.asarray(X, dtype, order=order)))
    np.testing.assert_array_equal(batch.arrays["x"], X.astype(dtype))


def test_fortran_order(tmp_path: Path) -> None:
    batch = load_array(npy_saved(tmp_path / "x.npy", np.asfortranarray(X)))
    np.testing.assert_array_equal(batch.arrays["x"], X)
    case = complete(batch.problem, batch.arrays, seed=0)
    assert case.x.flags.c_contiguous
    np.testing.assert_array_equal(case.x.reshape(X.shape), X)


@pytest.mark.parametrize("version", [(2, 0), (3, 0)])
def test_npy_of_later_formats(tmp_path: Path, version: tuple[int, int]) -> None:
    path = tmp_path / "x.npy"
    with path.open("wb") as file:
        np.lib.format.write_array(file, X, version=version)
    np.testing.assert_array_equal(load_array(path).arrays["x"], X)
    path.write_bytes(path.read_bytes().replace(bytes(version), bytes([9, 0]), 1))
    assert "x is in .npy format 9.0; save it again with numpy.save" in refusal(load_array, path)


@pytest.mark.parametrize("name", ["arr_0", "features", "mean"])
def test_a_lone_array_is_x(tmp_path: Path, name: str) -> None:
    path = npz_saved(tmp_path / "a.npz", **{name: X.astype("f4")})
    assert load_array(path).problem.dtype == "float32"
    np.testing.assert_array_equal(load_array(path).arrays["x"], X.astype("f4"))


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


def test_npz_may_hold_x_alone_with_arrays_that_are_ignored(tmp_path: Path) -> None:
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
        f"cannot use {str(path)!r}: it holds {named} but no x; save the batch under that name"
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
        (np.zeros((2, 2), [("\u03b1", "f8")]), "x has dtype [('\u03b1', '<f8')]"),
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
    assert "it is a pickle, which could run code and is never loaded; save it with numpy.save" in refusal(
        load_array, path
    )


@pytest.mark.parametrize(("value", "dtype"), [(1e6, "float16"), (-1e300, "float32")])
def test_values_that_the_dtype_cannot_hold(tmp_path: Path, value: float, dtype: str) -> None:
    path = npz_saved(tmp_path / "x.npz", x=np.zeros((2, 2), dtype), dy=np.full((2, 2), value))
    message = refusal(load_array, path)
    assert f"dy holds {value}, too large for {dtype}; scale it or use a wider --dtype" in message


def test_infinities_and_nans_pass(tmp_path: Path) -> None:
    held = np.array([[np.inf, -np.inf], [np.nan, 1]])
    np.testing.assert_array_equal(load_array(npy_saved(tmp_path / "x.npy", held), dtype="float16").arrays["x"], held)
