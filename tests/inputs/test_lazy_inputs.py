"""Sources that do not read the batch: what their parts read is what is loaded otherwise, and what they refuse."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bncli.core.layout import Layout
from bncli.core.source import Request
from bncli.errors import InputError
from bncli.inputs import _zarr, array, image


def lazy_and_loaded(source, value, **asked):
    request = Request((str(value),), **asked)
    lazy, loaded = source.SOURCE.lazy(request), source.SOURCE.load(request)
    assert lazy.problem == loaded.problem
    assert lazy.batches.keys() | lazy.arrays.keys() == loaded.arrays.keys()
    return lazy, loaded.arrays


def read(rows, *edges):
    """The parts between ``edges``, each read where it was sent to."""
    cuts = zip(edges, (*edges[1:], rows.shape[0]), strict=True)
    return np.concatenate([pickle.loads(pickle.dumps(rows.part(*cut)))() for cut in cuts])  # noqa: S301


@pytest.mark.parametrize("asked", [{}, {"dtype": "float64"}, {"layout": Layout.CHANNELS_FIRST}])
@pytest.mark.parametrize("stored", ["f4", ">f8", "i2"])
def test_an_array_by_parts_is_the_array(tmp_path, stored, asked):
    path = tmp_path / "x.npy"
    np.save(path, (100 * np.random.default_rng(0).standard_normal((11, 4, 3))).astype(stored))
    lazy, loaded = lazy_and_loaded(array, path, **asked)
    found = read(lazy.batches["x"], 0, 4, 5)
    np.testing.assert_array_equal(found, loaded["x"])
    assert found.dtype == loaded["x"].dtype


def test_a_part_takes_no_more_than_it_is(tmp_path):
    path = tmp_path / "huge.npy"
    shape = (1 << 20, 1 << 20)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + 4 * shape[0] * shape[1])  # 4 TiB, of holes
    lazy = array.SOURCE.lazy(Request((str(path),)))
    assert lazy.problem.shape == shape
    part = lazy.batches["x"].part(shape[0] - 1, shape[0])
    assert len(pickle.dumps(part)) < 1000
    assert not part().any()


def changed(path):
    with path.open("r+b") as file:
        file.truncate(1000)


def replaced(path):
    """By another file of the same size."""
    size, before = path.stat().st_size, path.stat().st_mtime
    path.write_bytes(bytes(size))
    os.utime(path, (0, before - 5))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed, "has changed, or is another file on host .*: 1000 bytes of .*, and 20128 bytes of .* when the run"),
        (
            replaced,
            "has changed, or is another file on host .*: 20128 bytes of .* when the run began; all workers must",
        ),
        (Path.unlink, "cannot be read on host .*: no such file or directory; all workers must see the same paths"),
    ],
)
def test_a_file_that_is_another_where_a_part_is_read_is_said(tmp_path, change, said):
    path = tmp_path / "x.npy"
    np.save(path, np.ones((100, 50), np.float32))
    part = pickle.loads(pickle.dumps(array.SOURCE.lazy(Request((str(path),))).batches["x"].part(50, 100)))  # noqa: S301
    assert part().all()
    change(path)
    with pytest.raises(InputError, match=rf"^'{path}' {said}"):
        part()


def test_what_cannot_be_read_by_parts_says_what_can(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.ones((4, 3)))
    np.save(tmp_path / "fortran.npy", np.asfortranarray(np.ones((4, 3))))
    for name, said in {
        "x.npz": "it cannot be read by blocks; save x as .npy, or all of it as a Zarr group",
        "fortran.npy": "its samples are scattered (Fortran order); save it in C order to read it by blocks",
    }.items():
        with pytest.raises(InputError) as raised:
            array.SOURCE.lazy(Request((str(tmp_path / name),)))
        assert str(raised.value) == f"cannot use {str(tmp_path / name)!r}: {said}"


def test_a_value_that_is_too_large_is_found_in_its_part(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[1.0], [2.0], [1e300]]))
    rows = array.SOURCE.lazy(Request((str(tmp_path / "x.npy"),), dtype="float32")).batches["x"]
    rows.part(0, 2)()
    with pytest.raises(InputError, match=r"x holds 1e.300, too large for float32"):
        rows.part(2, 3)()


def test_a_zarr_group_by_parts_is_what_it_holds(tmp_path):
    zarr = pytest.importorskip("zarr")
    rng = np.random.default_rng(0)
    group = zarr.open_group(str(tmp_path / "all.zarr"), mode="w")
    for name in ("x", "dy"):
        group.create_array(name, data=rng.standard_normal((10, 4, 3)).astype("f4"), chunks=(4, 2, 3))
    for name in ("gamma", "mean", "var"):
        group.create_array(name, data=rng.uniform(1, 2, (4, 3)))
    group.create_array("other", data=np.ones(3))
    lazy, loaded = lazy_and_loaded(array, tmp_path / "all.zarr")
    assert lazy.batches["x"].step == 4
    for name, rows in lazy.batches.items():
        np.testing.assert_array_equal(read(rows, 0, 4, 5), loaded[name])
    for name, found in lazy.arrays.items():
        np.testing.assert_array_equal(found, loaded[name])


def test_a_zarr_array_by_parts_is_the_array(tmp_path):
    zarr = pytest.importorskip("zarr")
    zarr.create_array(str(tmp_path / "x.zarr"), data=np.arange(24).reshape(6, 4))
    lazy, loaded = lazy_and_loaded(array, tmp_path / "x.zarr")
    assert lazy.problem.dtype == "float64"
    np.testing.assert_array_equal(read(lazy.batches["x"], 0, 5), loaded["x"])


@pytest.mark.parametrize("version", [2, 3])
def test_a_lone_array_of_a_zarr_group_is_x(tmp_path, version):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=version)
    group.create_array("mean", data=np.arange(24, dtype="f4").reshape(6, 4), chunks=(2, 4))
    lazy, loaded = lazy_and_loaded(array, tmp_path / "a.zarr")
    assert lazy.problem.dtype == "float32"
    np.testing.assert_array_equal(read(lazy.batches["x"], 0, 4), loaded["x"])
    assert read(lazy.batches["x"], 0).dtype == np.float32


@pytest.mark.parametrize("alone", [True, False])
def test_a_zipped_zarr_is_read(tmp_path, alone):
    zarr = pytest.importorskip("zarr")
    store = zarr.storage.ZipStore(tmp_path / "a.zarr.zip", mode="w")
    for place in [""] if alone else ["x", "gamma"]:
        data = np.arange(4.0) if place == "gamma" else np.arange(24.0).reshape(6, 4)
        zarr.create_array(store, name=place or None, data=data)
    store.close()
    lazy, loaded = lazy_and_loaded(array, tmp_path / "a.zarr.zip")
    np.testing.assert_array_equal(read(lazy.batches["x"], 0, 4), loaded["x"])
    assert loaded.keys() == ({"x"} if alone else {"x", "gamma"})


def test_shards_are_read(tmp_path):
    zarr = pytest.importorskip("zarr")
    zarr.create_array(str(tmp_path / "a.zarr"), data=np.arange(24.0).reshape(6, 4), chunks=(2, 2), shards=(4, 4))
    lazy, loaded = lazy_and_loaded(array, tmp_path / "a.zarr")
    np.testing.assert_array_equal(read(lazy.batches["x"], 0, 3), loaded["x"])


def test_a_draft_of_the_format_is_called_one(tmp_path):
    pytest.importorskip("zarr")
    # What zarr-python 2 wrote with zarr_version=3.
    address = "https://purl.org/zarr/spec/protocol/core/3.0"
    (tmp_path / "zarr.json").write_text(f'{{"zarr_format": "{address}", "metadata_key_suffix": ".json"}}')
    with pytest.raises(InputError, match=r"it is in a draft of Zarr format 3, .*; read it with zarr-python 2"):
        array.SOURCE.load(Request((str(tmp_path),)))


def test_zarr_without_x_or_of_no_numbers_is_refused(tmp_path):
    zarr = pytest.importorskip("zarr")
    for name in "yz":
        zarr.open_group(str(tmp_path / "none.zarr"), mode="a").create_array(name, data=np.ones((2, 2)))
    zarr.create_array(str(tmp_path / "complex.zarr"), data=np.ones((2, 2), complex))
    for name, said in {
        "none.zarr": "it holds '[yz]', '[yz]' but no x",
        "complex.zarr": "x has dtype complex128",
    }.items():
        for read_it in (array.SOURCE.load, array.SOURCE.lazy):
            with pytest.raises(InputError, match=said):
                read_it(Request((str(tmp_path / name),)))


def test_a_damaged_zarr_is_refused_in_one_line(tmp_path):
    zarr = pytest.importorskip("zarr")
    for name in ("head", "chunk"):
        zarr.create_array(str(tmp_path / name), data=np.ones((4, 3)), chunks=(2, 3))
    (tmp_path / "head" / "zarr.json").write_text("{")
    for read_it in (array.SOURCE.load, array.SOURCE.lazy):
        with pytest.raises(InputError, match=r"head': it is a damaged Zarr array or group; save it again$"):
            read_it(Request((str(tmp_path / "head"),)))
    rows = array.SOURCE.lazy(Request((str(tmp_path / "chunk"),))).batches["x"]
    next(path for path in (tmp_path / "chunk" / "c").rglob("*") if path.is_file()).write_bytes(b"no such codec")
    with pytest.raises(InputError, match=r"^cannot read '.*chunk': x has a damaged chunk, save it again: \S") as raised:
        rows.part(0, 4)()
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match=r"^cannot use '.*chunk': x has a damaged chunk, save it again: \S"):
        array.SOURCE.load(Request((str(tmp_path / "chunk"),)))


def test_a_value_of_a_zarr_that_is_too_large_is_found_in_its_part(tmp_path):
    zarr = pytest.importorskip("zarr")
    zarr.create_array(str(tmp_path / "x.zarr"), data=np.array([[1.0], [1e300]]))
    rows = array.SOURCE.lazy(Request((str(tmp_path / "x.zarr"),), dtype="float32")).batches["x"]
    with pytest.raises(InputError, match=r"^x holds 1e.300, too large for float32"):
        rows.part(0, 2)()


def test_without_zarr_its_folders_are_known_and_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "zarr.json").write_text("{}")
    monkeypatch.setattr(_zarr, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"which needs the package zarr: pip install 'bncli\[cluster\]'$"):
        array.SOURCE.load(Request((str(tmp_path),)))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for number, mode in enumerate(("RGB", "L", "RGB", "RGBA", "P")):
        picture = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).convert(mode)
        picture.save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"copies": 3, "seed": 4},
        {"resize": (5, 7), "layout": Layout.CHANNELS_FIRST, "dtype": "float32"},
        {"copies": 2, "resize": (30, 20), "layout": Layout.CHANNELS_FIRST},
    ],
)
def test_pictures_by_parts_are_the_pictures(folder, asked):
    lazy, loaded = lazy_and_loaded(image, folder, **asked)
    rows = lazy.batches["x"]
    assert rows.step == asked.get("copies", 1)
    found = read(rows, 0, 2, 3)  # within the copies of a picture, too
    np.testing.assert_array_equal(found, loaded["x"])
    assert found.dtype == loaded["x"].dtype


def test_grey_pictures_and_turned_ones_have_the_shape_that_they_are_seen_in(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.arange(200, dtype=np.uint8).reshape(10, 20)).save(tmp_path / "a.jpg", exif=exif)
    lazy, loaded = lazy_and_loaded(image, tmp_path / "a.jpg")
    assert lazy.problem.shape == (1, 20, 10, 1)
    np.testing.assert_array_equal(read(lazy.batches["x"], 0), loaded["x"])


def test_pictures_that_differ_or_change_are_refused(folder):
    rows = image.SOURCE.lazy(Request((str(folder),))).batches["x"]
    Image.new("RGB", (9, 9)).save(folder / "3.png")
    rows.part(0, 3)()
    with pytest.raises(
        InputError, match=r"3.png' has changed, or is another file on host .* when the run began; all workers"
    ):
        rows.part(2, 5)()
    with pytest.raises(InputError, match="the images differ in size"):
        image.SOURCE.lazy(Request((str(folder),)))
