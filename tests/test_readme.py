"""The README is true: its commands run, its output is theirs, its Python works.

``python tests/test_readme.py`` writes the output of today into it; with words after it, only that of commands which
have one of them.
"""

import os
import re
import shlex
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bncli.verification.mutants import MUTANTS, RIGHT
from command_line import invoke

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
INDEX = re.compile(r"\(\d+(?:, \d+)*\)")
ARRAY = re.compile(r"\b(?:y|dx|dgamma|dbeta|mean|inv_std|infer)\b")
BARS = re.compile(r"[▁-█][ ▁-█]*")
ENDED = re.compile(r"(?<=samples each, until ).*(?=; noise)")
NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?: [mµn]?s\b)?")


def blocks(language):
    return [body for kind, body in BLOCK.findall(README.read_text(encoding="utf-8")) if kind == language]


def commands(body):
    """Each command of a console block, with the output that the README shows."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def run(command):
    words = shlex.split(command)
    assert words[0] == "bncli", command
    output = invoke(*words[1:], columns=80).output
    # What else runs on this machine just now is not in the README.
    of_today = words[1] == "bench"
    return "".join(line for line in output.splitlines(True) if not (of_today and line.startswith("warning: ")))


def shape_of(output):
    """The output without what differs from run to run and machine to machine: digits, widths, where it is worst."""
    plain = INDEX.sub("(#)", BARS.sub("# ", ENDED.sub("", output)))
    plain = ARRAY.sub("@", NUMBER.sub("#", plain)).replace("─", "")
    return [line.split() for line in plain.splitlines() if line.strip()]


def make_photos(folder):
    """Two pictures of something: a bright disc and a dark square, each on a gradient."""
    height, width = 60, 80
    y, x = np.mgrid[:height, :width]
    slope = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], axis=-1)
    disc = ((x - 40) ** 2 + (y - 30) ** 2 < 400)[..., None]
    square = ((abs(x - 25) < 12) & (abs(y - 30) < 12))[..., None]
    Image.fromarray(np.where(disc, 250, slope).astype(np.uint8)).save(folder / "a.jpg")
    Image.fromarray(np.where(square, 5, 255 - slope).astype(np.uint8)).save(folder / "b.jpg")


def named(bodies, slow):
    """``bodies`` by their first lines; slow are those in which ``slow`` is found."""
    marks = {True: pytest.mark.slow, False: []}
    return [pytest.param(body, id=body.partition("\n")[0], marks=marks[bool(slow.search(body))]) for body in bodies]


# What measures, and what compiles the kernel numba for other shapes than those of activations.
TAKES_LONG = re.compile(
    r"^\$ bncli bench|\bbncli\.bench\(|^\$ bncli (?:verify|gradcheck) numba|/channels-last|kernel=.numba", re.MULTILINE
)


@pytest.fixture
def _in_a_folder_with_photos(tmp_path, monkeypatch):
    make_photos(tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("body", named(blocks("console"), TAKES_LONG))
@pytest.mark.usefixtures("_in_a_folder_with_photos")
def test_console_blocks_show_what_the_commands_print(body):
    for command, expected in commands(body):
        assert shape_of(run(command)) == shape_of(expected), command


@pytest.mark.parametrize("body", named(blocks("python"), TAKES_LONG))
@pytest.mark.usefixtures("_in_a_folder_with_photos")
def test_python_blocks_run(body):
    names = {}
    exec(compile(body, "README.md", "exec"), names)  # noqa: S102, the README's own code
    for name in [name for name in names if name.startswith("test_")]:
        names[name]()


@pytest.mark.parametrize("layout", ["per-activation", "channels-last", "channels-first"])
@pytest.mark.parametrize("body", blocks("py"), ids=lambda body: body.partition("\n")[0])
def test_kernel_files_pass_gradcheck(body, layout, tmp_path, monkeypatch):
    if "torch" in body:
        pytest.importorskip("torch", reason="this kernel is PyTorch's")
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(body, encoding="utf-8")
    result = invoke("gradcheck", "--kernel", "mine.py", "--shape", "5x4x3", "--layout", layout)
    assert result.exit_code == 0, result.output
    assert len(body.splitlines()) <= 10


def test_the_readme_has_the_two_commands_that_do_all_the_set_up():
    text = README.read_text(encoding="utf-8")
    assert "python -m pip install . && bncli bench" in text
    assert "python -m pip install '.[test]' && python -m pytest" in text
    assert len(blocks("console")) >= 6
    assert len(blocks("python")) >= 2


def test_the_readme_counts_the_seeded_faults_truly():
    words = " ".join(README.read_text(encoding="utf-8").split())
    assert f"runs {len(MUTANTS)} kernels with one fault each, and {len(RIGHT)} right ones" in words


def test_the_comparison_sees_another_verdict_and_not_another_number():
    assert shape_of("numpy dx PASS 1.2e-16 3 µs\n───") == shape_of("numpy  dx PASS 55 12 ms\n\n─────")
    assert shape_of("numpy dx PASS 1") != shape_of("numpy dx WRONG 1")


def _with_todays_output(match):
    words = sys.argv[1:]
    if match[1] != "console" or (words and not any(word in match[2].partition("\n")[0] for word in words)):
        return match[0]
    shown = "".join(f"$ {command}\n{_tidy(run(command))}" for command, _ in commands(match[2]))
    return f"```console\n{shown}```"


def _tidy(output):
    return "".join(f"{line.rstrip()}\n" for line in output.rstrip().splitlines())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        make_photos(Path(folder))
        os.chdir(folder)
        README.write_text(BLOCK.sub(_with_todays_output, README.read_text(encoding="utf-8")), encoding="utf-8")
