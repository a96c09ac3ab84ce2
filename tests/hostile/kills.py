"""Signals at any moment of any command: each ends it in time, without a traceback, and with nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil

from hostile.world import FAILED, FINE, RIGHT, USAGE

LONGEST = 60  # seconds, after which a process is called hung
INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OUT, BATCH, HELD, OWN = "out.json", "out.npz", "held.py", "own.py"
SMALL = ("--shape", "40x30")
# A loop in C, which no handler of Python interrupts, because it holds the interpreter.
HOLDS = "import collections, itertools\n" + RIGHT.replace(
    "return own.forward", "collections.deque(itertools.repeat(1), maxlen=0); return own.forward", 1
)
COMMANDS = {
    # A command, and the seconds that it takes on a quiet machine, with a cold cache.
    ("--help",): 0.1,
    ("kernels",): 0.5,
    ("info",): 0.5,
    ("bench", "numba", *SMALL, "-o", OUT, "--max-time", "1"): 12.0,
    ("bench", "numpy", *SMALL, "-s", "5x4", "-s", "6x4", "-o", OUT, "--max-time", "0.3"): 8.0,
    ("bench", "numpy", OWN, *SMALL, "--isolate", "-o", OUT, "--max-time", "0.3"): 8.0,
    ("bench", "numpy", *SMALL, "--processes", "2", "-o", OUT, "--max-time", "0.3"): 8.0,
    ("bench", HELD, *SMALL, "-o", OUT): 2.0,
    ("gradcheck", "numba", *SMALL, "-o", OUT): 8.0,
    ("gradcheck", OWN, "--search", "2", "-o", OUT): 3.0,
    ("verify", "numba", OWN, "--search", "1", "-o", OUT): 20.0,
    ("verify", HELD, "--isolate", "-o", OUT): 2.0,
    ("forward", "numba", "--shape", "100x300x300", "--save", BATCH, "-o", OUT): 6.0,
    ("backward", "numpy", "--shape", "100x300x300", "--save", BATCH, "-o", OUT): 2.0,
    ("selftest", "--no-torch"): 4.0,
    **(
        {("forward", "--workers", "2", "--shape", "100x300", "--save", "y.npy"): 4.0}
        if find_spec("distributed")
        else {}
    ),
}


def kill(rng):
    """Kill one command once; returns the seconds until its end, and what was killed."""
    words = rng.choice(tuple(COMMANDS))
    number, group, cold = rng.choice(SIGNALS), rng.random() < 0.5, rng.random() < 0.5
    wait = rng.uniform(0, COMMANDS[words]) ** rng.choice((1, 1, 0.5)) if COMMANDS[words] > 1 else rng.uniform(0, 1)
    with tempfile.TemporaryDirectory() as folder:
        here, temporary = Path(folder, "here"), Path(folder, "tmp")
        here.mkdir()
        temporary.mkdir()
        for name, text in {HELD: HOLDS, OWN: RIGHT}.items():
            (here / name).write_text(text, encoding="utf-8")
        settings = {"TMPDIR": str(temporary), **({"NUMBA_CACHE_DIR": str(Path(folder, "cache"))} if cold else {})}
        taken, code, errors, left = _killed(words, wait, number, group, here, settings)
        shown = f"{' '.join(words)} ({number.name} to {'all' if group else 'one'} after {wait:.3f} s, cold: {cold})"
        assert code in (INTERRUPTED, FINE, FAILED, USAGE), f"{shown} ended with {code}: {errors}"
        assert "Traceback" not in errors, f"{shown} printed {errors}"
        assert "ignored in" not in errors, f"{shown} printed {errors}"
        assert code != INTERRUPTED or errors.endswith("bncli: interrupted\n"), f"{shown} said {errors}"
        assert not left, f"{shown} left {left}"
        if (here / OUT).exists():
            json.loads((here / OUT).read_text(encoding="utf-8"))
        files = {path.name for path in (*here.iterdir(), *temporary.glob("*bncli*"))} - {HELD, OWN, "__pycache__"}
        assert files <= {OUT, BATCH, "y.npy"}, f"{shown} left {files}"
    return taken, shown, code


def _killed(words, wait, number, group, folder, settings):
    command = subprocess.Popen(
        [sys.executable, "-m", "bncli", *words],
        cwd=folder,
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    own = psutil.Process(command.pid)
    with suppress(psutil.Error):
        while command.poll() is None and not own.children():  # Python itself starts until then
            time.sleep(0.001)
    time.sleep(wait)
    below = []
    with suppress(psutil.Error):
        below = own.children(recursive=True)
    start = time.monotonic()
    with suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(command.pid, number)
    try:
        errors = command.communicate(timeout=LONGEST)[1]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
    return time.monotonic() - start, command.returncode, errors, psutil.wait_procs(below, timeout=5)[1]
