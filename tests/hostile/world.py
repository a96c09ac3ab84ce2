"""A folder to play in, a way to damage what is in it, and the judge of how a command ends."""

import logging
import os
import random
import re
import signal
import tempfile
import traceback
import warnings
from contextlib import chdir, contextmanager
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from command_line import invoke

LONGEST = 60  # seconds of the processor's time, after which a command is called hung
WAITS = 10  # times as long as that may a command wait, on a busy machine
FINE, FAILED, USAGE, UNAVAILABLE, UNSURE = 0, 1, 2, 3, 4
SMALL = ("--kernel", "numpy", "--shape", "3x4")
QUICK = {"bench": ("--max-time", "0"), "verify": ("--random", "normal", "--dtype", "float32")}
NOTES = ("warning: ", "wrote ", "The seed's problem")
UNIT = np.finfo(float).eps
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
RIGHT = """
from bncli.kernels import numpy as own
def forward(x, gamma, beta, epsilon): return own.forward(x, gamma, beta, epsilon)
def backward(dy, saved): return own.backward(dy, saved)
def infer(x, gamma, beta, mean, var, epsilon): return own.infer(x, gamma, beta, mean, var, epsilon)
"""


class Hung(BaseException):
    """A command did not end in its time."""


@contextmanager
def within(seconds):
    def ring(number, frame):
        raise Hung(f"no end after {seconds} s")

    before = signal.signal(signal.SIGPROF, ring), signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, WAITS * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
            signal.signal(number, handler)


def run(*words):
    """Run a command line, and assert that it ends well; returns click's result."""
    errors, handlers, stdout = np.geterr(), list(logging.root.handlers), os.fstat(1)[1:3]  # which file it is
    with within(LONGEST), warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        result = invoke(*words)
    shown = " ".join(map(repr, words))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise AssertionError(f"{shown}\n{''.join(traceback.format_exception(result.exception))}")
    assert result.exit_code in (FINE, FAILED, USAGE, UNAVAILABLE, UNSURE), f"{shown} ended with {result.exit_code}"
    assert not leaked, f"{shown} warned: {[str(each.message) for each in leaked]}"
    assert "Traceback" not in result.output, f"{shown} printed {result.output}"
    assert not CONTROL.search(result.output), f"{shown} printed control characters: {result.output!r}"
    assert np.geterr() == errors, f"{shown} left {np.geterr()}"
    assert np.array([1.0]) + UNIT / 2 == 1, f"{shown} left another rounding"
    assert -np.array([1.0]) - UNIT / 2 == -1, f"{shown} left another rounding"
    assert os.fstat(1)[1:3] == stdout, f"{shown} left another stdout"
    assert logging.root.handlers == handlers
    said = [line for line in result.stderr.splitlines() if not line.startswith(NOTES)]
    wanted = 0 if result.exit_code == FINE else 1
    assert len(said) == wanted, f"{shown} ended with {result.exit_code} and said {said}"
    assert all(line.startswith("bncli: ") for line in said), said
    return result


def write(name, content):
    Path(name).write_bytes(content)


def damaged(draw, content):
    """``content`` cut short, with bytes changed, or with others put in."""
    rng = random.Random(draw(st.integers(0, 1 << 32)))
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        if not content:
            break
        at = rng.randrange(len(content))
        match rng.randrange(4):
            case 0:
                del content[at:]
            case 1:
                content[at] = rng.randrange(256)
            case 2:
                content[at:at] = rng.randbytes(rng.randint(1, 8))
            case 3:
                del content[at : at + rng.randint(1, 8)]
    return bytes(content)


def rarely(draw, times):
    """True once in so many ``times``."""
    return draw(st.integers(1, times)) == times


@contextmanager
def playground(documents):
    """A folder with a file of every kind, the current one; ``documents`` are saved results."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for name, text in zip(("a.json", "b.json"), documents, strict=False):
            write(name, text.encode())
        np.save("a.npy", np.arange(12.0).reshape(3, 4))
        Image.new("RGB", (4, 3), "red").save("i.png")
        write("k.py", RIGHT.encode())
        write("evil.py", b"open('ran', 'w')\n" + RIGHT.encode())
        Path("d.json").mkdir()
        yield
        assert not Path("ran").exists(), "a preset has run a file's code"
