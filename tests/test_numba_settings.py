"""Variables of Numba and OpenMP whose values cannot be used: one line, and only for what needs Numba."""

import importlib
import os
import subprocess
import sys

import pytest

from bncli import numba_settings
from bncli.benchmarking import roofline
from bncli.errors import Unavailable
from bncli.kernels import numba as numba_kernel
from command_line import SMALL, fails, rows, run

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
UP_TO_ALL = f"give {'1 to ' if CORES > 1 else ''}{CORES}, "
LAYER = "NUMBA_THREADING_LAYER"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in (numba_settings.MARK, *numba_settings.CHECKS):
        monkeypatch.setenv(name, "")  # so that it is restored whatever the test does
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        *(("NUMBA_NUM_THREADS", value, UP_TO_ALL) for value in ("0", "-1", "many", "", "1e3")),
        ("NUMBA_NUM_THREADS", str(CORES + 1), UP_TO_ALL),
        (LAYER, "quark", "give one of default, safe"),
        (f"{LAYER}_PRIORITY", "tbb omp", "give tbb omp workqueue in any order"),
        ("NUMBA_DISABLE_JIT", "yes", "give 0 or 1"),
        ("NUMBA_CPU_NAME", "abacus", "give one that LLVM knows, such as generic"),
        ("NUMBA_CPU_FEATURES", "+beads", "give one that LLVM knows, such as +avx2"),
        *(("OMP_NUM_THREADS", value, "give a number from 1 on") for value in ("many", "0", "-3", "2,", "2,x")),
    ],
)
def test_a_variable_that_cannot_be_used_is_set_aside_and_named(name, value, hint, monkeypatch, capfd):
    monkeypatch.setenv(name, value)
    numba_settings.set_aside()
    assert name not in os.environ
    assert numba_settings.fault().startswith(f"{name} is {value!r}: {hint}")
    assert numba_kernel.available() == numba_settings.fault()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(Unavailable, match=name):
        roofline.require_compiler()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("NUMBA_NUM_THREADS", value) for value in ("1", str(CORES), " 1 ")),
        *((LAYER, value) for value in ("default", "workqueue", "SAFE")),
        (f"{LAYER}_PRIORITY", "workqueue tbb omp"),
        *(("NUMBA_DISABLE_JIT", value) for value in ("0", "1")),
        ("NUMBA_CPU_NAME", "generic"),
        *(("OMP_NUM_THREADS", value) for value in ("1", "64", "4,2")),
    ],
)
def test_a_variable_that_can_be_used_stays(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    numba_settings.set_aside()
    assert os.environ[name] == value
    assert numba_settings.fault() == ""


def test_a_threading_layer_that_is_not_installed_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setenv(LAYER, "tbb")
    monkeypatch.setattr(numba_settings, "import_module", missing)
    assert numba_settings.fault() == f"{LAYER} is 'tbb', which is not installed: give workqueue, or unset it"
    monkeypatch.setattr(numba_settings, "import_module", lambda name: importlib.import_module("os"))
    assert numba_settings.fault() == ""


@pytest.mark.usefixtures("_in_an_empty_folder")
def test_what_needs_no_numba_goes_on(monkeypatch):
    def bad():
        monkeypatch.setenv("NUMBA_NUM_THREADS", "0")

    wanted = f"NUMBA_NUM_THREADS is '0': {UP_TO_ALL}the number of cores that there are, or unset it"
    bad()
    assert fails("forward", "numba", *SMALL, code=3).endswith(f"kernel 'numba' cannot run here: {wanted}")
    bad()
    assert run("forward", "numpy", *SMALL).stderr == ""
    bad()
    assert {row["kernel"]: row["available"] for row in rows("kernels")}["numba"] == wanted
    bad()
    assert {row["item"]: row["value"] for row in rows("info")}["numba threads"] == wanted
    bad()
    assert fails("bench", "numpy", *SMALL, code=3).endswith(f"measured with Numba's compiler: {wanted}")


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["NUMBA_NUM_THREADS=0", f"{LAYER}=quark", "NUMBA_CPU_NAME=abacus"])
def test_a_process_says_so_in_one_line(setting):
    name, _, value = setting.partition("=")
    for isolate in ([], ["--isolate"]):
        words = [sys.executable, "-m", "bncli", "forward", "numba", "--shape", "64x3000", *isolate]
        done = subprocess.run(words, env={**os.environ, name: value}, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1), done.stderr
        assert f"{name} is {value!r}" in done.stderr
