"""How a kernel's file is run: once, with its neighbours, and without a trace."""

import os
import py_compile
import sys
from pathlib import Path

import numpy as np
import pytest

from bncli.loading import imports
from bncli.loading.registry import load_kernel
from command_line import run
from user_files import BACKWARD, KERNEL, SMALL, assert_right, loaded, write

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


def test_a_file_is_run_once_and_leaves_nothing_behind():
    write("mine.py", "import numpy\nloads = getattr(numpy, '_loads', 0) + 1\nnumpy._loads = loads\n" + KERNEL)
    try:
        load_kernel("mine.py")
        load_kernel("./mine.py")
        assert np._loads == 1
    finally:
        del np._loads
    assert os.listdir() == ["mine.py"]


def test_a_stale_compiled_file_is_not_run_in_its_stead():
    write("mine.py", "summary = 'old'\n" + KERNEL)
    py_compile.compile("mine.py")
    before = os.stat("mine.py")
    write("mine.py", "summary = 'new'\n" + KERNEL)
    os.utime("mine.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load_kernel("mine.py").summary == "new"


def test_a_file_may_import_its_neighbours_early_and_late(make_case):
    write("my kernels/helper.py", KERNEL)
    write("my kernels/later.py", BACKWARD)
    text = (
        "from helper import forward\ndef backward(dy, saved):\n    import later\n    return later.backward(dy, saved)\n"
    )
    assert_right(loaded(text, "my kernels/mine v1.py"), make_case("6x5"))
    assert load_kernel("my kernels/mine v1.py").name == "mine v1"


def test_two_versions_of_a_file_each_import_their_own_neighbour():
    for version in ("v1", "v2"):
        write(f"{version}/helper.py", f"version = {version!r}\n")
        write(f"{version}/deep/er.py", f"version = {version!r}\n")
        write(f"{version}/mine.py", f"import helper, deep.er\nsummary = helper.version + deep.er.version\n{KERNEL}")
    assert [load_kernel(f"{version}/mine.py").summary for version in ("v1", "v2")] == ["v1v1", "v2v2"]


def test_a_neighbour_of_a_file_does_not_replace_a_module_of_python_afterwards(monkeypatch):
    write("colorsys.py", "beside = True\n")
    write("mine.py", "import colorsys\nassert colorsys.beside\n" + KERNEL)
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    load_kernel("mine.py")
    del sys.modules["colorsys"]  # not by monkeypatch, which would put the user's back
    import colorsys

    assert not hasattr(colorsys, "beside")


def test_a_file_finds_its_own_module():
    loaded(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport pickle\n"
        "@dataclass\nclass Kept:\n    x: int\nassert pickle.loads(pickle.dumps(Kept(3))) == Kept(3)\n" + KERNEL
    )


@pytest.mark.compiled
def test_numbas_cache_works_in_a_file(monkeypatch):
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", os.path.realpath("cache"))
    loaded("import numba\n@numba.njit(cache=True)\ndef double(a): return a + a\n" + KERNEL)
    assert imports.import_file("mine.py").double(3) == 6
    assert list(Path("cache").rglob("*double*.nbi"))


def test_what_a_file_prints_and_warns_of_leaves_stdout_to_data():
    write("mine.py", f"import warnings\nprint('loading')\nwarnings.warn('old')\n{KERNEL}")
    result = run("forward", *SMALL, "--kernel", "mine.py", "--format", "csv")
    assert result.stdout.startswith("problem,") or result.stdout.startswith("kernel,")
    assert "loading" not in result.stdout
    assert result.stderr == "loading\n"
