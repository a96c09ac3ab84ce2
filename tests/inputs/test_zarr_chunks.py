"""Zarr arrays of which chunks are missing, for which Zarr itself gives the fill value without a word."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from bncli.cluster.outputs import opened
from bncli.core.problem import Problem
from bncli.core.source import Request
from bncli.errors import InputError
from bncli.inputs import array
from command_line import invoke

zarr = pytest.importorskip("zarr")
X = np.random.default_rng(0).standard_normal((8, 4, 3)).astype("f4")
EVERY = {"write_empty_chunks": True}


def chunks(folder):
    return sorted(
        path for path in Path(folder).rglob("*") if path.is_file() and not path.name.startswith((".z", "zarr."))
    )


def refusal(path):
    """What the source says of ``path``, whether it is read whole or in parts."""
    said = set()
    for read_it in (array.SOURCE.load, array.SOURCE.lazy):
        with pytest.raises(InputError) as raised:
            read_it(Request((str(path),)))
        said.add(str(raised.value))
    (line,) = said
    return line


@pytest.mark.parametrize(
    ("options", "there"),
    [
        ({"chunks": (2, 4, 3)}, "3 of 4 chunks, 'c/3/0/0'"),
        ({"chunks": (2, 4, 3), "zarr_format": 2}, "3 of 4 chunks, '3.0.0'"),
        ({"chunks": (2, 4, 3), "shards": (4, 4, 3)}, "1 of 2 shards, 'c/1/0/0'"),
    ],
)
def test_an_array_without_a_chunk_is_refused_with_two_ways_out(tmp_path, options, there):
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, **options)
    chunks(tmp_path)[-1].unlink()
    assert refusal(tmp_path / "x.zarr") == (
        f"cannot use {str(tmp_path / 'x.zarr')!r}: x has {there} is missing: copy it again, or, if it was left out as "
        "0.0 throughout, write it, with Zarr's write_empty_chunks"
    )


def test_a_zip_without_a_chunk_is_refused(tmp_path):
    zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(2, 4, 3))
    with zipfile.ZipFile(tmp_path / "x.zarr.zip", "w") as archive:
        for path in [tmp_path / "x.zarr" / "zarr.json", *chunks(tmp_path / "x.zarr")[1:]]:
            archive.write(path, path.relative_to(tmp_path / "x.zarr"))
    assert "x has 3 of 4 chunks, 'c/0/0/0' is missing" in refusal(tmp_path / "x.zarr.zip")


def test_a_chunk_left_out_as_zeros_is_refused_until_it_is_written(tmp_path):
    path, held = str(tmp_path / "x.zarr"), np.where(np.arange(8)[:, None, None] < 2, 0, X)
    zarr.create_array(path, data=held, chunks=(2, 4, 3))
    assert "x has 3 of 4 chunks" in refusal(path)
    stored = zarr.open(path, mode="r+", config=EVERY)
    stored[:2] = stored[:2]
    np.testing.assert_array_equal(array.SOURCE.load(Request((path,))).arrays["x"].reshape(X.shape), held)


@pytest.fixture
def group(tmp_path):
    """A group whose beta Zarr stores without a chunk."""
    found = zarr.open_group(str(tmp_path / "all.zarr"), mode="w")
    for name, data in {"x": X, "dy": X, "gamma": np.ones((4, 3)), "beta": np.zeros((4, 3))}.items():
        found.create_array(name, data=data, chunks=(4, *data.shape[1:]))
    return tmp_path / "all.zarr"


def test_an_array_of_features_that_is_all_zeros_is_a_warning(group):
    for found in (array.SOURCE.load(Request((str(group),))), array.SOURCE.lazy(Request((str(group),)))):
        said = "it is taken as 0.0 throughout, its fill value"
        assert found.warnings == (f"beta has no chunk in {str(group)!r}: {said}",)
    done = invoke("forward", "numpy", "--array", str(group))
    assert done.exit_code == 0
    assert said in done.stderr


def test_dy_is_looked_at_as_x_is(group):
    chunks(group / "dy")[0].unlink()
    assert "dy has 1 of 2 chunks, 'dy/c/0/0/0' is missing" in refusal(group)
    (group / "dy" / "zarr.json").unlink()
    assert refusal(group).endswith("its folder 'dy' has no zarr.json or .zarray: copy it again")


def test_a_chunk_that_goes_while_parts_are_read_is_said(group):
    rows = array.SOURCE.lazy(Request((str(group),))).batches["x"]
    chunks(group / "x")[1].unlink()
    np.testing.assert_array_equal(rows.part(0, 4)(), X[:4])
    with pytest.raises(InputError, match=r"^cannot read '.*': x has 0 of 1 chunks, 'x/c/1/0/0' is missing"):
        rows.part(5, 6)()
    zarr.create_array(str(group / "x"), data=X[:4], overwrite=True)
    with pytest.raises(InputError, match=r"x' has changed|json' has changed|x has shape \(4, 4, 3\), and \(8, 4, 3\)"):
        rows.part(0, 4)()


def test_zeros_that_are_saved_can_be_read_again(tmp_path):
    problem = Problem(X.shape, dtype="float32")
    with opened(tmp_path / "y.zarr", "y", problem, [slice(0, 4), slice(4, 8)]) as output:
        for rows in (slice(0, 4), slice(4, 8)):
            output.block(rows)(np.zeros((4, 12, 1), np.float32))
        output.arrays({"mean": np.zeros(12)})
    stored = zarr.open_group(str(tmp_path / "y.zarr"), mode="r")
    assert [stored[name].nchunks_initialized for name in ("y", "mean")] == [2, 1]
