"""The page on parts of a batch is true, and a layer over two processes is judged."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import bncli
from command_line import rows, run
from test_parts import FILE, NAMES

pytestmark = pytest.mark.slow
PAGE = (Path(bncli.__file__).parent / "verification" / "parts" / "README.md").read_text(encoding="utf-8")
SYNC, BOTH = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NEEDS_TORCH = pytest.mark.skipif(not find_spec("torch"), reason="the layer is PyTorch's")
SMALL = ("--shape", "9x5x4", "--layout", "channels-first", "--search", "0")
FAULTS = {
    "the counts are forgotten": ("share = b[0] / max(count, 1)", "share = 0.5"),
    "the sums of dy are not gathered": ("zip(*gathered((dbias, dweight)))", "zip((dbias, dweight))"),
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    for name in ("sync", "both"):
        sys.modules.pop(name, None)


def process(*words):
    return subprocess.run(
        [sys.executable, "-m", "bncli", *words], capture_output=True, text=True, check=False, timeout=300
    )


def test_the_page_shows_what_verify_says(tmp_path):
    missing = FILE.replace(" + shift**2 * (a[0] * share)", "")
    Path("mine.py").write_text(run("kernels", "--template").stdout + missing, encoding="utf-8")
    said = run(
        "verify", "mine.py", "--layout", "nchw", "--dtype", "float32", "--search", "0", code=1, columns=400
    ).stdout
    shown = re.search(r"^mine: (.*?)\n```", PAGE, re.DOTALL | re.MULTILINE).group(1)
    assert " ".join(shown.split()) in " ".join(said.split())


@NEEDS_TORCH
def test_the_parts_of_the_layer_pass():
    Path("sync.py").write_text(SYNC, encoding="utf-8")
    options = ("--layout", "channels-first", "--dtype", "float32", "--search", "0")
    found = rows("verify", "sync.py:SyncBN", *options)
    assert [row["check"] for row in found if row["check"].startswith("parts: ")] == [f"parts: {name}" for name in NAMES]
    assert {row["verdict"] for row in found} <= {"PASS", "INEXACT", "NOT TRIED"}


@NEEDS_TORCH
def test_the_layer_over_two_processes_passes_and_its_faults_are_wrong():
    Path("both.py").write_text(BOTH, encoding="utf-8")
    Path("sync.py").write_text(SYNC, encoding="utf-8")
    done = process("gradcheck", "both.py", *SMALL)
    assert done.returncode == 0, (done.stdout, done.stderr)
    for right, wrong in FAULTS.values():
        assert SYNC.count(right) == 1
        Path("sync.py").write_text(SYNC.replace(right, wrong), encoding="utf-8")
        done = process("gradcheck", "both.py", *SMALL)
        assert done.returncode == 1, (done.stdout, done.stderr)
