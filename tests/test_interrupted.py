"""Whole commands that crash, or that a signal interrupts: one line, the right exit code, and no process is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import SMALL

LONGEST = 300  # seconds until a process is called hung
OWN = """
from bncli.kernels.numpy import backward, forward as own
def forward(x, gamma, beta, epsilon):
    {first}
    return own(x, gamma, beta, epsilon)
"""
COMPILES = """
import numba
from pathlib import Path
from bncli.kernels.numpy import backward, forward as own
@numba.njit
def compiled(x):
    {lines}
    return x
def forward(x, gamma, beta, epsilon):
    Path("begun").touch()
    compiled(x)
    return own(x, gamma, beta, epsilon)
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="the signals are POSIX's"),
    pytest.mark.usefixtures("_in_an_empty_folder"),
]


def started(*words, **settings):
    followed = [name for name in os.environ if name.startswith("COV")]  # what follows one process has no supervisor
    environment = {name: value for name, value in os.environ.items() if name not in followed}
    return subprocess.Popen(
        [sys.executable, "-m", "bncli", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True, **settings,
    )  # fmt: skip


def wait_for(path, process):
    deadline = time.monotonic() + LONGEST
    while not os.path.exists(path):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("command", [("forward",), ("bench", "--max-time", "0")])
def test_a_kernel_that_crashes_is_named_without_isolate_too(command):
    Path("own.py").write_text(OWN.format(first="__import__('ctypes').string_at(0)"), encoding="utf-8")
    process = started(*command, "own.py", *SMALL)
    said = "bncli: own.py, line 4: its process was ended by SIGSEGV (segmentation fault): give it one of its own by "
    assert process.communicate(timeout=LONGEST) == ("", said + "--isolate\n")
    assert process.returncode == 1


@pytest.mark.compiled
def test_ctrl_c_while_numba_compiles_is_one_line_and_the_run_does_not_go_on():
    lines = "\n    ".join(f"x = x * {each} + x.sum()" for each in range(40))  # some seconds
    Path("own.py").write_text(COMPILES.format(lines=lines), encoding="utf-8")
    # On a machine that stops for that long, the kernel is compiled when the signal comes, and times are saved.
    process = started("bench", "own.py", *SMALL, "--max-time", "200", "--precision", "0")
    wait_for("begun", process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=LONGEST)
    assert (process.returncode, err.splitlines()[-1]) == (130, "bncli: interrupted")
    assert "Traceback" not in err


def test_under_nohup_a_terminal_may_close():
    Path("own.py").write_text(
        OWN.format(first="p = __import__('pathlib').Path; p('begun').touch()\n    while not p('go').exists(): pass"),
        encoding="utf-8",
    )
    process = started("forward", "own.py", *SMALL, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    wait_for("begun", process)
    os.killpg(process.pid, signal.SIGHUP)
    Path("go").touch()
    out, err = process.communicate(timeout=LONGEST)
    assert (process.returncode, err) == (0, "")
    assert "own" in out
