"""Folders of images, their sizes, and copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bncli.core.layout import Layout
from loading_inputs import COLOUR, GREY, ORIENTATION, load_image, refusal, saved


def test_folder_is_its_images_by_name(tmp_path: Path) -> None:
    for value, name in enumerate(["c.PNG", "a.png", "b.bmp"]):
        saved(tmp_path / name, np.full((2, 2), value, np.uint8))
    saved(tmp_path / ".hidden.png", COLOUR)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "paper.pdf").write_text("a suffix that Pillow writes but cannot read")
    (tmp_path / "folder.png").mkdir()
    saved(tmp_path / "folder.png" / "deeper.png", COLOUR)
    x = load_image(tmp_path).arrays["x"]
    np.testing.assert_array_equal(x[:, 0, 0, 0] * 255, [1, 2, 0])


def test_files_and_folders_come_in_the_order_given(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    inside = saved(tmp_path / "folder" / "a.png", np.full((2, 2), 1, np.uint8))
    outside = saved(tmp_path / "b.png", np.full((2, 2), 2, np.uint8))
    x = load_image(outside, tmp_path / "folder", inside).arrays["x"]
    np.testing.assert_array_equal(x[:, 0, 0, 0] * 255, [2, 1, 1])


def test_folder_without_an_image(tmp_path: Path) -> None:
    message = refusal(load_image, tmp_path)
    assert message.startswith(f"there is no image in the folder {str(tmp_path)!r}")


def test_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    # Root may read every folder, so the refusal is played.
    monkeypatch.setattr(Path, "iterdir", refused)
    assert refusal(load_image, tmp_path) == (
        f"cannot read {str(tmp_path)!r}: permission denied; check its name and its permissions"
    )


def test_different_sizes_name_two_files(tmp_path: Path) -> None:
    one, same, other = (
        saved(tmp_path / name, COLOUR[:, :width]) for name, width in [("one.png", 8), ("same.png", 8), ("other.png", 5)]
    )
    assert refusal(load_image, one, same, other) == (
        f"the images differ in size: {str(one)!r} is 8x6 and {str(other)!r} is 5x6; make them equal with --resize 8x6"
    )


def test_resize_makes_sizes_equal(tmp_path: Path) -> None:
    paths = saved(tmp_path / "a.png", COLOUR), saved(tmp_path / "b.png", GREY[:3, :3])
    x = load_image(*paths, resize=(5, 4)).arrays["x"]
    assert x.shape == (2, 4, 5, 3)
    expected = Image.fromarray(COLOUR).resize((5, 4), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(x[0], np.asarray(expected) / 255)


def test_resize_comes_after_rotation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    halves = np.repeat(np.array([[255] * 16, [0] * 16], np.uint8), 8, 0)
    x = load_image(saved(tmp_path / "a.jpg", halves, exif=exif), resize=(4, 6)).arrays["x"]
    assert x.shape == (1, 6, 4, 1)
    assert x[..., 0, 0].max() < 0.2
    assert x[..., -1, 0].min() > 0.8


def test_resize_keeps_sixteen_bits_in_range(tmp_path: Path) -> None:
    deep = np.repeat(np.array([[0, 1000, 65535, 65535]], np.uint16), 4, 0)
    x = load_image(saved(tmp_path / "a.png", deep), resize=(9, 9)).arrays["x"]
    assert x.min() == 0
    assert x.max() == 1
    assert (np.abs(x * 255 - np.round(x * 255)) > 0.01).any()


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (10**6, 10**6)])
def test_resize_refuses_sizes_that_cannot_be(tmp_path: Path, size: tuple[int, int]) -> None:
    message = refusal(load_image, saved(tmp_path / "a.png", GREY), resize=size)
    assert message.startswith(f"cannot resize to {size[0]}x{size[1]}: ask for")


def test_copies_are_seeded_in_range_and_different(tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
    paths = saved(tmp_path / "a.png", pixels), saved(tmp_path / "b.png", pixels[::-1].copy())
    first, again, other = (load_image(*paths, copies=4, seed=seed).arrays["x"] for seed in (1, 1, 2))
    assert first.shape == (8, 20, 30, 3)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert first.min() >= 0
    assert first.max() <= 1
    assert len({copy.tobytes() for copy in first}) == 8


@pytest.mark.parametrize("layout", Layout)
def test_copies_are_the_image_brightened_and_shifted(tmp_path: Path, layout: Layout) -> None:
    # Dark enough that brightening never clips.
    pixels = np.random.default_rng(4).integers(1, 150, (20, 30), np.uint8)
    copies = load_image(saved(tmp_path / "a.png", pixels), copies=5, layout=layout).arrays["x"].reshape(5, 20, 30)
    for copy in copies:
        factor = copy.sum() / (pixels / 255).sum()
        assert 0.7 <= factor <= 1.3
        shifts = [
            shift
            for shift in np.ndindex(5, 7)
            if np.allclose(np.roll(pixels, (shift[0] - 2, shift[1] - 3), (0, 1)) / 255 * factor, copy)
        ]
        assert len(shifts) == 1


def test_one_copy_is_the_image_itself(tmp_path: Path) -> None:
    x = load_image(saved(tmp_path / "a.png", COLOUR), copies=1).arrays["x"]
    np.testing.assert_array_equal(x[0], COLOUR / 255)


@pytest.mark.parametrize("copies", [0, -3])
def test_fewer_than_one_copy(tmp_path: Path, copies: int) -> None:
    path = saved(tmp_path / "a.png", GREY)
    assert refusal(load_image, path, copies=copies) == f"cannot make {copies} copies of an image: ask for 1 or more"


@pytest.mark.parametrize("copies", [10**8, 10**13, 10**30])
def test_more_copies_than_memory(tmp_path: Path, copies: int) -> None:
    message = refusal(load_image, saved(tmp_path / "a.png", np.zeros((1000, 1000), np.uint8)), copies=copies)
    assert message.startswith(f"{copies} images of 1000x1000 would take about ")
    assert message.endswith(" are free: use fewer, or a smaller --resize")


def test_copies_for_which_the_memory_does_not_suffice_after_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bncli.core.memory.require", lambda *asked: None)  # what is free then has gone since
    path = saved(tmp_path / "a.png", np.zeros((1000, 1000), np.uint8))
    for copies in (10**8, 10**13):
        message = refusal(load_image, path, copies=copies)
        assert message == f"{copies} images do not fit in memory: use fewer, or a smaller --resize"
