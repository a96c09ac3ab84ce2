"""Machine code that is kept for the next run is that of the sources as they are now."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bncli

PACKAGE = Path(bncli.__file__).parent
pytestmark = [pytest.mark.compiled, pytest.mark.slow]


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def run(code, folder, cache):
    """The words that ``code`` prints in a new process with this cache, which finds modules in ``folder`` first."""
    path = os.pathsep.join(map(str, (folder, PACKAGE.parent)))
    variables = {**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=variables, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def edit(path, old, new):
    source = path.read_text(encoding="utf-8")
    assert source.count(old) == 1
    path.write_text(source.replace(old, new), encoding="utf-8")


def files(cache):
    return {path.name for path in cache.rglob("*.nb[ic]")}


FORWARD = """
import numpy as np
from numba.core import event
from bncli.loading.registry import registered_kernel
kernel = registered_kernel("numba")
x = np.array([-1.0, 1.0]).reshape(2, 1, 1)
with event.install_recorder("numba:compile") as events:
    y, _ = kernel.forward(x, np.ones(1), np.zeros(1), 1e-12)
print(round(y[1, 0, 0], 6), len(events.buffer) > 0)
"""


def test_an_edit_of_any_file_of_the_compiled_kernel_runs_the_new_code(tmp_path, cache):
    shutil.copytree(PACKAGE, tmp_path / "bncli", ignore=shutil.ignore_patterns("__pycache__"))
    room = tmp_path / "bncli" / "kernels" / "_numba"
    assert run(FORWARD, tmp_path, cache) == ["1.0", "True"]
    assert run(FORWARD, tmp_path, cache) == ["1.0", "False"]
    # A compiled function that the engine calls: its file is not the engine's.
    edit(room / "features.py", "narrow(by, like)", "narrow(by + by, like)")
    assert run(FORWARD, tmp_path, cache) == ["2.0", "True"]
    # A part of an instruction, which no compiled function is.
    edit(room / "vectors.py", "llvm.constant(value.type, 1.0), root", "llvm.constant(value.type, 5.0), root")
    assert run(FORWARD, tmp_path, cache) == ["10.0", "True"]
    # What starts the threads, in no folder of its own.
    edit(tmp_path / "bncli" / "numba_forking.py", "CACHE_LINE = 64", "CACHE_LINE = 2 * 64")
    assert run(FORWARD, tmp_path, cache) == ["10.0", "True"]


CALLED = """
import helper
from bncli import numba_cache

@numba_cache.njit()
def called(number):
    return helper.changed(number)
"""
HELPER = """
from bncli import numba_cache
STEP = 1

@numba_cache.njit()
def changed(number):
    return number + STEP
"""
CALL = """
import sys
sys.path.insert(0, "room")
from called import called
print(called(1), called.stats.cache_hits[called.signatures[0]] if called.stats.cache_hits else 0)
"""


@pytest.fixture
def room(tmp_path):
    folder = tmp_path / "room"
    folder.mkdir()
    (folder / "called.py").write_text(CALLED)
    (folder / "helper.py").write_text(HELPER)
    return folder


def test_what_is_unchanged_comes_from_the_cache(room, cache):
    assert run(CALL, room.parent, cache) == ["2", "0"]
    os.utime(room / "helper.py", (0, 0))
    assert run(CALL, room.parent, cache) == ["2", "1"]


def test_a_constant_a_new_file_and_a_file_taken_away_make_it_stale(room, cache):
    run(CALL, room.parent, cache)
    edit(room / "helper.py", "STEP = 1", "STEP = 7")
    assert run(CALL, room.parent, cache) == ["8", "0"]
    (room / "more.py").write_text("")
    assert run(CALL, room.parent, cache) == ["8", "0"]
    (room / "more.py").unlink()
    assert run(CALL, room.parent, cache) == ["8", "0"]


def test_outdated_files_are_removed_and_those_of_others_stay(room, cache):
    run(CALL, room.parent, cache)
    before = files(cache)
    (others,) = cache.glob("room_*")
    named = next(name for name in before if name.startswith("called.called-") and name.endswith(".nbi"))
    older, python, _, _ = named.rsplit(".", 3)
    another = older.replace("called-", "called_too-")
    foreign = {f"{older}.py3999.0123456789abcdef.nbi", f"{another}.{python}.0123456789abcdef.nbi"}
    for name in foreign:
        (others / name).write_bytes(b"")
    edit(room / "called.py", "import helper", "import helper\n")  # which moves the function to another line
    run(CALL, room.parent, cache)
    after = files(cache)
    assert foreign <= after
    assert not before & after - foreign
    assert len(after - foreign) == len(before)


def test_without_the_compiler_the_function_itself_is_called(room, cache, monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    code = "import sys; sys.path.insert(0, 'room'); from called import called; print(called(1), type(called).__name__)"
    assert run(code, room.parent, cache) == ["2", "function"]
    assert not files(cache)
