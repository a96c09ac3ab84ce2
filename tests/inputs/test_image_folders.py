"""Folders with files that are no images, broken files, and files with several frames."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bncli.core.source import Request, build_case
from bncli.inputs import _folder, image
from command_line import invoke
from loading_inputs import COLOUR, GREY, load_image, refusal, saved


def moving(path: Path, count: int = 3) -> Path:
    frames = [Image.fromarray(np.full((6, 8), 10 * number, np.uint8)) for number in range(count)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


def test_what_pillow_cannot_decode_is_passed_over_and_counted(tmp_path: Path) -> None:
    saved(tmp_path / "a.png", COLOUR)
    for name in ("b.h5", "c.mpg", "d.grib", "e.wmf", "f.WMF", "notes.txt"):
        (tmp_path / name).write_bytes(b"anything")
    batch = load_image(tmp_path)
    assert len(batch.arrays["x"]) == 1
    assert batch.warnings == (
        f"1 .grib, 1 .h5, 1 .mpg, 2 .wmf in {str(tmp_path)!r} passed over: Pillow cannot decode them",
    )
    (tmp_path / "a.png").unlink()
    assert refusal(load_image, tmp_path) == f"there is no image in the folder {str(tmp_path)!r}: {batch.warnings[0]}"


def test_postscript_is_passed_over_without_ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "a.png", COLOUR)
    saved(tmp_path / "b.eps", COLOUR)
    monkeypatch.setattr(_folder, "which", lambda name: None)
    assert load_image(tmp_path).warnings == (f"1 .eps in {str(tmp_path)!r} passed over: Pillow cannot decode them",)
    monkeypatch.setattr(_folder, "which", lambda name: f"/bin/{name}")
    assert [file.name for file in _folder.files(tmp_path).files] == ["a.png", "b.eps"]


def test_heic_is_named_where_it_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {suffix: kind for suffix, kind in Image.registered_extensions().items() if suffix not in _folder.HEIF}
    monkeypatch.setattr(Image, "registered_extensions", lambda: known)
    heic = tmp_path / "IMG_1.HEIC"
    heic.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    said = f"1 HEIC in {str(tmp_path)!r} passed over, such as 'IMG_1.HEIC': pip install 'bncli[heic]'"
    assert refusal(load_image, tmp_path) == f"there is no image in the folder {str(tmp_path)!r}: {said}"
    saved(tmp_path / "a.png", COLOUR)
    assert load_image(tmp_path).warnings == (said,)
    if "HEIF" not in Image.OPEN:
        assert refusal(load_image, heic).endswith("HEIC needs the package pillow-heif: pip install 'bncli[heic]'")


def test_heic_is_read_where_pillow_heif_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    pixels = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    path = saved(tmp_path / "a.heic", pixels, quality=90)
    np.testing.assert_allclose(load_image(tmp_path).arrays["x"], load_image(path).arrays["x"])
    np.testing.assert_allclose(load_image(path).arrays["x"][0], pixels / 255, atol=3 / 255)


def test_images_below_a_folder_are_read_if_asked_for(tmp_path: Path) -> None:
    for name, value in {"b/c.png": 1, "a/d/e.png": 2, ".hidden/f.png": 3, "a/.g.png": 4}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        saved(tmp_path / name, np.full((2, 2), value, np.uint8))
    below = str(tmp_path / "a" / "d" / "e.png")
    said = f"{str(tmp_path)!r} has images in its folders, such as {below!r}: --recursive reads them"
    assert refusal(load_image, tmp_path) == f"there is no image in the folder {str(tmp_path)!r}: {said}"
    saved(tmp_path / "z.png", np.full((2, 2), 5, np.uint8))
    assert load_image(tmp_path).warnings == (said,)
    batch = load_image(tmp_path, recursive=True)
    np.testing.assert_array_equal(batch.arrays["x"][:, 0, 0, 0] * 255, [2, 1, 5])
    assert batch.warnings == ()


def test_a_broken_file_is_named_and_may_be_left_out(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "d.png"):
        saved(tmp_path / name, COLOUR)
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) * 2 // 3])  # its header is whole
    (tmp_path / "c.png").touch()
    named = f"cannot read {str(tmp_path / 'c.png')!r} as an image: it is empty; save it again"
    assert refusal(load_image, tmp_path) == f"{named}; or leave out what cannot be read: --skip-broken"
    assert "--skip-broken" not in refusal(load_image, tmp_path / "c.png")
    request = Request((str(tmp_path),), skip_broken=True)
    for found in (image.SOURCE.load(request), image.SOURCE.lazy(request)):
        assert found.problem.shape[0] == 2
        count, broken, empty = found.warnings
        assert count == "2 of 4 image files left out"
        assert broken.startswith(f"cannot read {str(tmp_path / 'b.png')!r} as an image: Pillow cannot decode it")
        assert empty == named
    (tmp_path / "c.png").unlink()
    pixels = refusal(load_image, tmp_path)
    assert f"cannot read {str(tmp_path / 'b.png')!r}" in pixels
    assert pixels.endswith("--skip-broken")


def test_very_many_broken_files_name_a_few(tmp_path: Path) -> None:
    saved(tmp_path / "a.png", COLOUR)
    for number in range(20):
        (tmp_path / f"{number}.png").touch()
    found = load_image(tmp_path, skip_broken=True).warnings
    assert len(found) == 10
    assert found[-1] == "… and 12 more"
    (tmp_path / "a.png").unlink()
    assert refusal(load_image, tmp_path, skip_broken=True).startswith("no image is left: cannot read ")


@pytest.mark.parametrize("suffix", ["gif", "tiff", "webp"])
def test_every_frame_is_read_if_asked_for(tmp_path: Path, suffix: str) -> None:
    path = moving(tmp_path / f"a.{suffix}")
    first = load_image(path)
    assert len(first.arrays["x"]) == 1
    assert first.warnings == (f"2 more frames are not read, such as those of {str(path)!r}: --frames all reads them",)
    batch = load_image(path, saved(tmp_path / "b.png", GREY), frames="all")
    assert batch.warnings == ()
    assert batch.names == (f"a-1.{suffix}", f"a-2.{suffix}", f"a-3.{suffix}", "b.png")
    np.testing.assert_allclose(batch.arrays["x"][:3, 0, 0, 0] * 255, [0, 10, 20], atol=2)
    rows = image.SOURCE.lazy(Request((str(path),), frames="all")).batches["x"]
    assert rows.shape[0] == 3
    np.testing.assert_array_equal(rows.part(1, 3)(), load_image(path, frames="all").arrays["x"][1:])


def test_frames_that_cannot_be_counted_leave_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = moving(tmp_path / "a.gif")

    def damaged(_: object) -> int:
        raise IndexError("index out of range")  # as for a file cut within a later frame

    monkeypatch.setattr("PIL.GifImagePlugin.GifImageFile.n_frames", property(damaged))
    assert load_image(path).warnings == ()
    assert "Pillow cannot decode it (index out of range)" in refusal(load_image, path, frames="all")


def test_one_more_frame_is_singular(tmp_path: Path) -> None:
    path = moving(tmp_path / "a.gif", count=2)
    assert load_image(path).warnings == (f"1 more frame is not read, that of {str(path)!r}: --frames all reads it",)


def test_frames_of_other_sizes_are_named(tmp_path: Path) -> None:
    pages = [Image.new("L", size) for size in ((8, 6), (4, 4))]
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:])
    path = str(tmp_path / "a.tiff")
    assert f"{path!r}, frame 1, is 8x6 and {path!r}, frame 2, is 4x4" in refusal(
        load_image, tmp_path / "a.tiff", frames="all"
    )


def test_the_recipe_reads_the_same_images_again(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    moving(tmp_path / "below" / "a.gif")
    request = Request((str(tmp_path),), frames="all", recursive=True, skip_broken=True)
    words = shlex.split(build_case("image", request).recipe)
    assert words == ["--image", str(tmp_path), "--frames", "all", "--recursive", "--skip-broken", "--seed", "0"]


def test_a_command_warns_of_what_its_source_left_out(tmp_path: Path) -> None:
    moving(tmp_path / "a.gif", count=5)
    result = invoke("forward", "--image", str(tmp_path / "a.gif"))
    assert result.exit_code == 0
    assert "warning: 4 more frames are not read" in result.stderr
    again = invoke("forward", "--image", str(tmp_path / "a.gif"), "--frames", "all")
    assert again.exit_code == 0
    assert "more frames" not in again.stderr
    assert "give it with --image" in invoke("forward", "--skip-broken").stderr


def test_c_libraries_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "a.tiff", np.tile(COLOUR, (9, 9, 1)), compression="tiff_lzw")
    strips = path.read_bytes()
    held = bytearray(strips)
    held[60 : len(held) // 2] = bytes(len(held) // 2 - 60)
    path.write_bytes(held)
    refusal(load_image, path)
    assert capfd.readouterr() == ("", "")
    os.write(2, b"stderr is back")
    assert capfd.readouterr().err == "stderr is back"
