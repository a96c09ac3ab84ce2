"""Kill bncli while it writes files: ``python tests/kill.py --times 100``; each must be left as it was, or whole."""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from bncli import files

WRITER = """
import sys
from pathlib import Path
from bncli import files
for round in range(1_000_000):
    files.replace_text(Path(sys.argv[1]), str(round % 10) * 1_000_000)
"""
BENCH = ("bench", "--kernel", "numpy", "--max-time", "0.01", "--export", "{path}")
SHAPES = tuple(word for n in range(2, 60) for word in ("--shape", f"{n}x40"))


def killed(command, path, wait, after):
    """Start ``command``, wait until ``path`` is there, and kill it so many seconds later."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + wait
    while not path.exists() and process.poll() is None:
        assert time.monotonic() < deadline, "nothing was ever written"
        time.sleep(0.001)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def check_writer(folder, rng):
    """Nothing but writing, so that most kills come in the middle of it."""
    path = folder / "digits"
    assert killed([sys.executable, "-c", WRITER, str(path)], path, 60, rng.uniform(0, 0.05)), "it ended by itself"
    content = path.read_text()
    assert len(content) == 1_000_000
    assert len(set(content)) == 1, "two files are mixed"
    assert {each.suffix for each in folder.iterdir() if each != path} <= {files.MARK}, "what is left has another name"


def check_bench(folder, rng):
    """``bench`` writes its file anew after each problem: it always holds whole ones."""
    path = folder / "bench.json"
    words = [sys.executable, "-m", "bncli", *(word.format(path=path) for word in BENCH), *SHAPES]
    killed(words, path, 100, rng.uniform(0, 0.5))
    problems = {row["problem"] for row in json.loads(path.read_text())["rows"]}
    assert 0 < len(problems) <= len(SHAPES) / 2


def run(times, seed, checks=(check_writer, check_bench)):
    rng = random.Random(seed)
    for number in range(times):
        with tempfile.TemporaryDirectory() as folder:
            checks[number % len(checks)](Path(folder), rng)


@click.command()
@click.option("--times", type=click.IntRange(1), default=100, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
def main(times, seed):
    started = time.monotonic()
    run(times, seed)
    click.echo(f"killed {times} times, and every file was whole ({time.monotonic() - started:.0f} s)")


if __name__ == "__main__":
    main()
