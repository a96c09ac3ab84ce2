"""What a command leaves behind in its process: nothing, whatever its kernels did."""

import contextlib
import inspect
import json
import os
import platform
import sys
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest

from bncli.core.kernel import Kernel
from bncli.loading import float_environment, streams
from bncli.loading.guard import change_by, remember
from bncli.loading.libc import LIBRARY
from command_line import invoke

SMALL = ("--shape", "6x40")
COMMANDS = {
    "forward": (),
    "backward": ("--update",),
    "gradcheck": (),
    "verify": ("--random", "tiny", "--random", "normal", "--dtype", "float32"),
    "bench": ("--max-time", "0.02"),
}
MEDDLING = """
import os, sys, warnings
import numpy as np
from bncli.kernels import numpy as own

def meddle(mode):
    pass

def forward(x, gamma, beta, epsilon):
    np.seterr(all="raise")
    warnings.simplefilter("error")
    print("printed")
    meddle("flush")
    return own.forward(x, gamma, beta, epsilon)

def backward(dy, saved):
    np.seterr(all="call")
    meddle("up")
    return own.backward(dy, saved)
"""


# How an ALU's control register is changed by C's own means: where in fenv_t it stands, and the bits.
CONTROL = {"x86_64": (7, {"flush": 0x8000, "zeros": 0x0040, "up": 0x4000, "down": 0x2000, "towards 0": 0x6000}),
           "aarch64": (0, {"flush": 1 << 24, "up": 1 << 22, "down": 1 << 23, "towards 0": 3 << 22})}  # fmt: skip
WORD, MODES = CONTROL.get(platform.machine(), (0, {}))
needs_control = pytest.mark.skipif(sys.platform != "linux" or not MODES, reason="the register stands elsewhere here")
WORDS = {
    "flush": "subnormal numbers become 0",
    "zeros": "subnormal numbers become 0",
    **{mode: f"results are rounded {mode}" for mode in ("up", "down", "towards 0")},
}


def meddle(mode):
    import ctypes

    library, state = ctypes.CDLL(None), (ctypes.c_uint32 * 16)()
    library.fegetenv(state)
    state[WORD] |= MODES.get(mode, 0)
    library.fesetenv(state)


def subnormals():
    """Whether subnormal results are kept, and subnormal operands, in both types."""
    found = []
    for dtype in (np.float32, np.float64):
        info = np.finfo(dtype)
        found.append(bool((np.array([info.smallest_normal], dtype) / dtype(2))[0] != 0))
        found.append(bool((np.array([info.smallest_subnormal], dtype) * dtype(2**60))[0] != 0))
    return found


def state():
    # Rounding to nearest, ties to even: 1 + eps/2 is 1, and 1 + 3 eps/2 is 1 + 2 eps.
    eps = np.finfo(np.float64).eps
    rounding = [float(value) for value in np.array([1.0, 1 + eps]) + np.array([eps / 2, eps / 2])]
    return {
        "errors": np.geterr(),
        "subnormals": subnormals(),
        "rounding": rounding,
        "threads": numba.get_num_threads(),
        "filters": list(warnings.filters),
        "streams": (sys.stdout, sys.stderr),
        "stdout": os.fstat(1)[1:3],
    }


# verify takes long.
LEAVING = [pytest.param(command, marks=[pytest.mark.slow] * (command == "verify")) for command in COMMANDS]


@pytest.mark.parametrize("threads", [(), ("--threads", "1")])
@pytest.mark.parametrize("command", LEAVING)
def test_a_command_leaves_the_process_as_it_was(command, threads):
    before = state()
    assert before["subnormals"] == [True] * 4
    result = invoke(command, *SMALL, "--kernel", "numba", "--kernel", "numpy", *threads, *COMMANDS[command])
    assert result.exit_code == 0, result.output
    assert state() == before


def meddling(path):
    """Write MEDDLING, with ``meddle`` as it is here, and return how to ask for it."""
    function = inspect.getsource(meddle).replace("WORD", str(WORD)).replace("MODES", str(MODES))
    path.write_text(MEDDLING.replace("def meddle(mode):\n    pass\n", function))
    return "--kernel", str(path)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_kernel_that_meddles_leaves_nothing_behind_and_is_named(command, tmp_path):
    before = state()
    words = [command, *SMALL, *meddling(tmp_path / "meddling.py"), *COMMANDS[command], "--format", "json"]
    result = invoke(*words)
    assert result.exit_code in (0, 1), result.output
    assert "printed" not in result.stdout
    assert state() == before
    if MODES:
        notes = [row.get("note") for row in json.loads(result.stdout)["rows"]]
        (said,) = [note for note in (*notes, *result.stderr.splitlines()) if note and "runs after" in note]
        assert "runs after forward, subnormal numbers become 0, which was undone here" in said
        if command != "forward":
            assert "runs after backward, results are rounded up, which was undone here" in said


@needs_control
@pytest.mark.parametrize("mode", MODES)
def test_each_way_to_change_arithmetic_is_told_and_undone(mode):
    before, changes = state(), []
    with float_environment.preserved(changes.append):
        meddle(mode)
    assert state() == before
    assert changes == [f"{WORDS[mode]}, which was undone here"]


@needs_control
def test_what_had_been_changed_before_stays_so():
    """A program that has asked for speed does not get exactness from us."""
    changes = []
    with float_environment.preserved(changes.append):
        meddle("flush")
        with float_environment.preserved(changes.append):
            meddle("down")
        assert subnormals() != [True] * 4
        assert changes == ["results are rounded down, which was undone here"]


@needs_control
def test_where_nothing_can_be_undone_that_is_said(monkeypatch):
    changes = []
    with float_environment.preserved(lambda change: None):
        monkeypatch.setattr(float_environment, "_CAN_RESTORE", False)
        with float_environment.preserved(changes.append):
            meddle("flush")
        monkeypatch.undo()
    assert changes == ["subnormal numbers become 0, which cannot be undone here"]


def test_who_changes_the_same_in_several_functions_is_told_of_once():
    kernel = Kernel(len, len, name="fast")
    for function in ("loading it", "forward", "forward"):
        remember(kernel.name, function, "subnormal numbers become 0")
    said = "in all code that runs after loading it and forward, subnormal numbers become 0"
    assert (change_by(kernel), change_by(kernel)) == (said, "")


def test_what_changes_nothing_is_not_told():
    changes = []
    with float_environment.preserved(changes.append):
        np.array([1e-300]) * np.array([1e-300]) / np.array([3.0])
    assert changes == []


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not hasattr(LIBRARY, "feenableexcept"), reason="not every processor can trap"
)
def test_traps_are_undone():
    """Else the next 0 / 0 would end the process."""
    before = LIBRARY.fegetexcept()
    with float_environment.preserved(lambda change: None):
        assert LIBRARY.feenableexcept(1) == before
        assert LIBRARY.fegetexcept() == before | 1
    assert LIBRARY.fegetexcept() == before


def test_stdout_comes_back_after_an_error_and_after_it_was_closed(capfd):
    before = os.fstat(1)[1:3]
    for disturb in (lambda: os.close(1), lambda: os.dup2(0, 1), lambda: 1 / 0):
        with contextlib.suppress(ZeroDivisionError), streams.stdout_as_stderr():
            disturb()
        assert os.fstat(1)[1:3] == before
    os.write(1, b"data")
    assert capfd.readouterr() == ("data", "")


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the files that are open are not listed here")
def test_no_file_is_left_open():
    def count():
        return len(list(Path("/dev/fd").iterdir()))

    before = count()
    for _ in range(3):
        with streams.stdout_as_stderr():
            pass
    assert count() == before
