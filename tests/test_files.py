"""Files and streams that cannot be written, and a kill while they are: one line, and nothing is half there."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import kill
from bncli import files
from bncli.errors import InputError
from command_line import run

BNCLI = (sys.executable, "-m", "bncli")
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full to write to")
PRINTED = [
    ("presets",),
    pytest.param(("presets", "--format", "json"), marks=pytest.mark.slow),
    pytest.param(("gradcheck", "--help"), marks=pytest.mark.slow),
    ("--version",),
]
pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


def bncli(*words, **streams):
    return subprocess.run([*BNCLI, *words], text=True, timeout=100, check=False, **streams)


@needs_full
@pytest.mark.parametrize("words", PRINTED)
def test_a_full_disk_under_stdout_is_one_line(words):
    with FULL.open("w") as full:
        done = bncli(*words, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (
        2,
        "bncli: error: the output cannot be written: no space left on device\n",
    )


@pytest.mark.slow
@needs_full
def test_a_full_disk_under_stderr_leaves_the_exit_code():
    with FULL.open("w") as full:
        assert bncli("presets", "--nonsense", stderr=full).returncode == 2


SMALL = ("--kernel", "numpy", "--shape", "3x4")
UNREAD = [
    *PRINTED,
    *(
        pytest.param(words, marks=pytest.mark.slow)
        for words in (
            ("--help",),
            ("forward", *SMALL),
            ("forward", *SMALL, "--format", "json"),
            ("gradcheck", "--kernel", "numpynet", "--shape", "5x4x4x3"),
        )
    ),
    pytest.param(("bench", *SMALL, "--max-time", "0.1"), marks=[pytest.mark.compiled, pytest.mark.slow]),
]


@contextlib.contextmanager
def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.skipif(os.name != "posix", reason="a closed pipe is another error there")
@pytest.mark.parametrize("words", UNREAD, ids=" ".join)
def test_a_closed_pipe_ends_quietly_and_is_no_failed_check(words):
    with closed_pipe() as pipe:
        done = bncli(*words, stdout=pipe, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a closed pipe is another error there")
@pytest.mark.parametrize("words", [("forward", "--shape", "1x4", "--kernel", "numpy"), ("presets", "--nonsense")])
def test_a_closed_pipe_under_stderr_too(words):
    with closed_pipe() as pipe:
        assert bncli(*words, stdout=pipe, stderr=pipe).returncode in (2, 141)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a closed pipe is another error there")
@pytest.mark.parametrize("command", ["forward", pytest.param("bench", marks=pytest.mark.compiled)])
def test_files_are_written_whole_where_nobody_reads_on(command):
    with closed_pipe() as pipe:
        done = bncli(command, *SMALL, "--export", "x.json", stdout=pipe, stderr=subprocess.PIPE)
    assert done.returncode == 141
    assert done.stderr in ("", "wrote 'x.json'\n")  # bench ends at its first table
    assert json.loads(Path("x.json").read_text())["rows"]
    assert [each.name for each in Path().iterdir()] == ["x.json"]


@pytest.mark.slow
def test_who_reads_the_first_line_gets_it():
    words = [*BNCLI, "presets", "--format", "json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "{\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode in (0, 141)  # it may have written all before


@pytest.fixture
def tiny_disk(tmp_path):
    """A folder on a file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.name != "posix" or os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tiny_disk):
    old = tiny_disk / "old.json"
    run("presets", "--export", old)
    before = old.read_bytes()
    with contextlib.suppress(OSError), (tiny_disk / "fill").open("wb", buffering=0) as file:
        while file.write(bytes(1024)):
            pass
    for path, words in {
        old: ("presets", "--export", str(old)),
        tiny_disk / "a.npz": ("forward", "--kernel", "numpy", "--shape", "9x99", "--save", str(tiny_disk / "a.npz")),
    }.items():
        done = run(*words, code=2)
        assert done.stderr == f"bncli: error: cannot write {str(path)!r}: No space left on device\n"
    with pytest.raises(InputError, match="No space left on device"):  # as if the disk had been filled during the run
        files.replace(old, lambda file: file.write(bytes(1 << 17)))
    assert old.read_bytes() == before
    assert sorted(each.name for each in tiny_disk.iterdir()) == ["fill", "old.json"]


KERNEL = """
import shutil
from bncli.kernels import numpy as own
backward = lambda dy, saved: own.backward(dy, saved)
def forward(x, gamma, beta, epsilon):
    shutil.rmtree("out", ignore_errors=True)
    return own.forward(x, gamma, beta, epsilon)
"""


def test_a_full_disk_is_found_before_the_run(monkeypatch):
    def full(file, start, length):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    kernel = "def forward(x, gamma, beta, epsilon): open('ran', 'w').close()\ndef backward(dy, saved): pass\n"
    Path("k.py").write_text(kernel)
    for words in (("--export", "x.json"), ("--save", "x.npz"), ("--picture", "x.png")):
        assert run("forward", "k.py", *SMALL, *words, code=2).stderr.startswith(
            f"bncli: error: cannot write '{words[1]}'"
        )
    assert [each.name for each in Path().iterdir()] == ["k.py"]


def test_a_folder_that_vanishes_meanwhile_is_one_line():
    Path("out").mkdir()
    Path("k.py").write_text(KERNEL)
    done = run("gradcheck", "--kernel", "k.py", "--shape", "3x4", "--export", "out/x.json", code=2)
    assert done.stderr == "bncli: error: cannot write 'out/x.json': there is no folder 'out'; create it first\n"


def test_a_folder_in_the_way_is_said_before_any_work():
    Path("x.json").mkdir()
    done = run("bench", "--max-time", "60", "--export", "x.json", code=2)
    assert done.stderr == "bncli: error: cannot write 'x.json': it is a folder; name a file in it\n"


def test_a_read_only_folder_is_said_before_any_work(monkeypatch):
    # root may write anywhere
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(InputError, match=r"cannot write 'x.json': the folder '.' is read-only"):
        files.check_writable(Path("x.json"))


def test_a_folder_is_replaced_whole_or_stays_as_it_was(tmp_path):
    old = tmp_path / "out"
    old.mkdir()
    (old / "old").write_text("old")
    with pytest.raises(ZeroDivisionError), files.staged(old) as new:
        begin_and_fail(new)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old"]
    with files.staged(old) as new:
        new.mkdir()
        (new / "new").write_text("new")
        assert (old / "old").exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "new"]


def begin_and_fail(folder):
    folder.mkdir()
    raise ZeroDivisionError


def test_what_cannot_be_written_whole_is_not_written():
    path = Path("x.json")
    path.write_text("old")

    def write(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.replace(path, write)
    assert [each.name for each in Path().iterdir()] == ["x.json"]
    assert path.read_text() == "old"
    files.replace_text(path, "newé")
    assert path.read_text(encoding="utf-8") == "newé"


@pytest.fixture
def left():
    """left(name, hours) makes a temporary file that nobody has written to for so long; returns it."""

    def make(name, hours):
        path = Path(name)
        path.write_text("half")
        then = time.time() - 3600 * hours
        os.utime(path, (then, then))
        return path

    return make


def test_what_a_kill_has_left_is_removed_with_the_next_run_once_it_is_old(left):
    old, new = left(".x[1].json.abcdefgh.bncli", 25), left(".x[1].json.ijklmnop.bncli", 23)
    others = [left(name, 99) for name in (".y.json.abcdefgh.bncli", ".x[1].json.original", "x[1].json.bncli")]
    files.replace_text(Path("x[1].json"), "whole")
    assert not old.exists()
    assert all(each.read_text() == "half" for each in (new, *others))
    assert Path("x[1].json").read_text() == "whole"


def test_a_folder_to_which_somebody_writes_or_that_holds_the_only_copy_stays(left):
    for name, inner, hours in (("old", "x.zarr", 25), ("new", "x.zarr", 1), ("only", "replaced", 25)):
        Path(f".x.zarr.{name}.bncli", inner).mkdir(parents=True)
        for folder in (Path(f".x.zarr.{name}.bncli", inner), Path(f".x.zarr.{name}.bncli")):
            left(folder / "chunk", hours)
            os.utime(folder, (0, 0))
    with files.staged(Path("x.zarr")) as path:
        path.write_text("whole")
    assert sorted(each.name for each in Path().iterdir()) == [".x.zarr.new.bncli", ".x.zarr.only.bncli", "x.zarr"]


def test_a_temporary_file_is_known_by_its_name():
    """So that nobody takes it for a result, a preset or an image, and a kill's remains can be told from all else."""
    seen = []
    files.replace(Path("x.json"), lambda file: seen.extend(Path().iterdir()))
    assert [(each.name[:8], each.suffix) for each in seen] == [(".x.json.", ".bncli")]


@pytest.mark.parametrize("name", ["x" * 250 + ".json", "\u00fc" * 100 + "\U0001f600" * 10 + ".json"])
def test_a_name_may_be_as_long_as_the_file_system_takes(name):
    files.replace_text(Path(name), "whole")
    assert Path(name).read_text() == "whole"


@pytest.mark.slow
@pytest.mark.compiled
def test_a_kill_at_any_moment_leaves_whole_files():
    kill.run(8, seed=1, checks=(kill.check_writer,))
    kill.run(2, seed=1, checks=(kill.check_bench,))


@pytest.mark.slow
def test_a_half_written_file_would_be_noticed_after_a_kill(tmp_path, monkeypatch):
    monkeypatch.setattr(
        kill, "WRITER", kill.WRITER.replace("files.replace_text(Path(sys.argv[1]),", "Path(sys.argv[1]).write_text(")
    )
    with pytest.raises((AssertionError, json.JSONDecodeError)):
        kill.run(40, seed=1, checks=(kill.check_writer,))


def test_a_disk_too_small_for_the_arrays_is_found_before_a_kernel_runs(monkeypatch):
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    Path("k.py").write_text("def forward(x, gamma, beta, epsilon): open('ran', 'w').close()\n")
    done = run("forward", "k.py", "--shape", "100x7", "--save", "x.npz", code=2)
    assert done.stderr.endswith("cannot write 'x.npz': it takes 5.47 KiB or more, and its disk has 1000 B left\n")
    assert [each.name for each in Path().iterdir()] == ["k.py"]
