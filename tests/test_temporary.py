"""Temporary files and folders: an interruption in the middle of a replacement leaves the old one, and nothing else."""

from pathlib import Path

import pytest

from bncli import files


def stop(*_):
    raise KeyboardInterrupt


def test_a_folder_goes_back_where_the_new_one_has_not_come_yet(tmp_path, monkeypatch):
    path = tmp_path / "y.zarr"
    path.mkdir()
    (path / "old").touch()
    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt), files.staged(path) as new:
        new.mkdir()
    assert [each.relative_to(tmp_path).as_posix() for each in sorted(tmp_path.rglob("*"))] == ["y.zarr", "y.zarr/old"]


def test_what_is_discarded_need_not_be_there(tmp_path):
    files.discard(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "new").touch()
    files.discard(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []
