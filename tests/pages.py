"""The pages, their blocks and their commands.

``python tests/pages.py`` writes the output of today into the console blocks; with words after it, only that of commands
which have one of them.
"""

import glob
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from bncli.commands import _pages
from command_line import invoke

COLUMNS = 110
ROOT = Path(__file__).parents[1]
PAGES = {**_pages.pages(), "tests": ROOT / "tests" / "README.md"}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(bncli [^`]+)`")
# Words in which a reader puts their own.
PLACEHOLDER = re.compile(r"\b(?:NAME|VALUE|COMMAND|PAGE|ROOM|FILE|OBJECT|SHAPE|OWNER)\b|…|\?")
# What reads or runs what is not here; the line of set-up is run by .ci/run.
NOT_RUN = ("python", "pip", "git", "ruff", "NUMBA_DISABLE_JIT=1")


class Block(NamedTuple):
    """A fenced block of a page; ``name`` is the page's."""

    name: str
    language: str
    body: str

    def __str__(self):
        return f"{self.name}: {self.body.partition(chr(10))[0]}"


def text(name):
    return PAGES[name].read_text(encoding="utf-8")


def blocks(*languages):
    return [
        Block(name, language, body)
        for name in PAGES
        for language, body in BLOCK.findall(text(name))
        if language in languages
    ]


def console(body):
    """Each command of a console block, with the output that the page shows."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def lines(body):
    """Each line of a block of commands, with the exit code that its remark says."""
    for line in filter(None, body.splitlines()):
        command, _, remark = line.partition(" # ")
        yield command.strip(), int((re.search(r"exits (\d)", remark) or [0, 0])[1])


def inline(name):
    """Each bncli command in the sentences of a page."""
    return [" ".join(line.split()) for line in INLINE.findall(BLOCK.sub("", text(name)))]


def every_command():
    """Each bncli command of any block or sentence, as (page, line)."""
    for name in PAGES:
        for language, body in BLOCK.findall(text(name)):
            typed = re.findall(r"(?:^|\$ |&& |run: )(bncli .*)", body, re.MULTILINE)
            found = [part for line in typed for part in re.split(r" && | # | \| ?| > ", line) if "bncli" in part]
            yield from ((name, line.strip()) for line in found if language in ("sh", "console", "yaml"))
        yield from ((name, line) for line in inline(name))


def shortly(line):
    """``line``, with less time to search and to measure."""
    line = re.sub("--processes [0-9]+", "--processes 2", re.sub("--max-time [0-9]+", "", line))
    line = re.sub("--search [0-9]+", "--search 1", line)
    return f"{line} --max-time 0.1" if line.startswith("bncli bench") else line


def run(line):
    """The result of a command line of bncli, its stars expanded; ``> file`` takes what it prints on stdout."""
    command, _, target = line.partition(" > ")
    words = [name for word in shlex.split(command) for name in (sorted(glob.glob(word)) or [word])]
    assert words[0] == "bncli", line
    result = invoke(*words[1:], columns=COLUMNS)
    if target:
        Path(target.strip()).write_text(result.stdout, encoding="utf-8")
    return result


def printed(command):
    """What ``command`` prints. What else runs on this machine just now stands on no page."""
    output = run(command).output
    of_today = command.startswith("bncli bench")
    return "".join(line for line in output.splitlines(True) if not (of_today and line.startswith("warning: ")))


def make_photos(folder):
    """Pictures of something in ``folder``: bright discs and dark squares on gradients; five more in ``photos``."""
    height, width = 60, 80
    y, x = np.mgrid[:height, :width]
    slope = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], axis=-1)
    disc = ((x - 40) ** 2 + (y - 30) ** 2 < 400)[..., None]
    square = ((abs(x - 25) < 12) & (abs(y - 30) < 12))[..., None]
    Image.fromarray(np.where(disc, 250, slope).astype(np.uint8)).save(folder / "a.jpg")
    Image.fromarray(np.where(square, 5, 255 - slope).astype(np.uint8)).save(folder / "b.jpg")
    (folder / "photos").mkdir()
    for number in range(5):
        turned = np.roll(slope, (7 * number, 11 * number), axis=(0, 1)) // (1 + number % 3)
        shown = np.where(np.roll(disc, 9 * number - 20, axis=1), 250 - 40 * number, turned)
        Image.fromarray(shown.astype(np.uint8)).save(folder / "photos" / f"{number + 1}.jpg")


MYBN = "\n\nfrom bncli import BatchNorm as MyBN\n"  # an object of the file


def make_files(folder):
    """What the commands of the pages read: photographs, arrays, and a kernel, ``mine.py``."""
    make_photos(folder)
    template = invoke("kernels", "--template").stdout
    (folder / "before.py").write_text(template, encoding="utf-8")
    (folder / "mine.py").write_text(template + MYBN, encoding="utf-8")
    np.save(folder / "activations.npy", np.random.default_rng(0).standard_normal((16, 6, 8, 8), dtype=np.float32))


def _with_todays_output(match):
    if match[1] != "console" or (sys.argv[1:] and not any(word in match[2] for word in sys.argv[1:])):
        return match[0]
    shown = "".join(f"$ {command}\n{_tidy(printed(command))}" for command, _ in console(match[2]))
    return f"```console\n{shown}```"


def _tidy(output):
    return "".join(f"{line.rstrip()}\n" for line in output.rstrip().splitlines())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        make_files(Path(place))
        os.chdir(place)
        for page in PAGES.values():
            page.write_text(BLOCK.sub(_with_todays_output, page.read_text(encoding="utf-8")), encoding="utf-8")
