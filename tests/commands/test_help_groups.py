"""The help of each command: three examples, and options in groups, the most used first."""

import glob
import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest

from bncli import plugins
from bncli.commands import _groups
from bncli.commands._groups import Group
from command_line import COMMANDS, invoke, run

WORKING = sorted(set(COMMANDS) - {"help"})
# Options of other commands that say what goes into these or comes of them.
FROM_OTHERS = {"presets": {"--preset"}, "report": {"--export"}, "compare": {"--export"}}
KERNEL_OPTIONS = ["--kernel", "--shape", "--dtype", "--layout", "--export", "--quiet"]

MINE = """
import numpy as np
class MyBN:
    @staticmethod
    def forward(x, gamma, beta, epsilon):
        std = np.sqrt(x.var((0, 2), keepdims=True) + epsilon)
        x_hat = (x - x.mean((0, 2), keepdims=True)) / std
        return gamma[:, None] * x_hat + beta[:, None], (x_hat, gamma[:, None] / std)
    @staticmethod
    def backward(dy, saved):
        x_hat, scale = saved
        dx = scale * (dy - dy.mean((0, 2), keepdims=True) - x_hat * (dy * x_hat).mean((0, 2), keepdims=True))
        return dx, (dy * x_hat).sum((0, 2)), dy.sum((0, 2))
forward, backward = MyBN.forward, MyBN.backward
"""
SLOWEST = {"bncli selftest", "bncli selftest --no-torch -o selftest.json"}


def options_of(command):
    return [each for each in plugins.load("bncli.commands", command).COMMAND.params if isinstance(each, click.Option)]


def lines_of(text, section):
    """The lines of one section of a help text."""
    return re.search(rf"^{section}:\n((?:  .*\n|\n(?=  ))*)", f"{text}\n", re.MULTILINE)[1].splitlines()


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", WORKING)
def test_three_examples_stand_on_top_and_none_is_wider_than_a_terminal(command, flag):
    text = run(command, flag, columns=80).stdout
    examples = lines_of(text, "Examples")
    assert len(examples) == 3
    assert text.index("Examples:") < text.index(f"\n{Group.OUTPUT}:")
    assert all(len(line) <= 80 for line in text.splitlines() if "|" not in line)
    assert any(f"bncli {command}" in line for line in examples)


@pytest.mark.parametrize("command", WORKING)
def test_the_examples_are_of_options_and_values_that_there_are(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in lines_of(run(command, "--help").stdout, "Examples"):
        words = shlex.split(line.partition(" > ")[0], comments=True)
        own = plugins.load("bncli.commands", words[1]).COMMAND
        own.make_context(words[1], words[2:], resilient_parsing="--template" in words).close()


@pytest.mark.parametrize("command", WORKING)
@pytest.mark.parametrize("columns", [80, 140])
def test_every_option_stands_in_its_group_and_no_line_ends_within_one(command, columns):
    text = run(command, "--help", columns=columns).stdout
    for option in options_of(command):
        assert isinstance(option, _groups.Option), option
        assert any(option.opts[0] in line for line in lines_of(text, option.group))
    assert not re.search(r"-$", text, re.MULTILINE)
    shown = [line.rstrip(":") for line in text.splitlines() if line.rstrip(":") in tuple(Group)]
    assert shown == [group for group in Group if group in shown]


@pytest.mark.parametrize("command", ["forward", "backward", "gradcheck", "verify", "bench"])
def test_the_most_used_options_have_a_short_name_and_come_first(command):
    text = run(command, "--help").stdout
    short = [option.opts[0] for option in options_of(command) if option.is_short]
    assert sorted(short) == sorted(KERNEL_OPTIONS)
    first = {group: lines_of(text, group)[0] for group in (Group.RUN, Group.DATA, Group.OUTPUT)}
    assert [line.split()[0] for line in first.values()] == ["-k,", "-s,", "-o,"]


def test_help_says_nothing_of_another_commands_options():
    for command in WORKING:
        own = {name for option in options_of(command) for name in (*option.opts, *option.secondary_opts)}
        lines = run(command, "--help").stdout.splitlines()
        prose = "\n".join(line for line in lines if not line.startswith("  bncli "))
        told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", prose))
        assert told <= own | {"--help"} | FROM_OTHERS.get(command, set()), command


def test_the_first_page_starts_with_the_three_questions():
    assert lines_of(run("--help", columns=80).stdout, "Examples") == [
        "  bncli gradcheck mine.py    # Are its gradients right?",
        "  bncli verify mine.py       # How exact is it, on data of every kind?",
        "  bncli bench numpy mine.py  # How fast is it, and how far from the limit?",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", [line for name in WORKING for line in plugins.load("bncli.commands", name).COMMAND.examples]
)
def test_every_example_runs(line, photo, tmp_path, monkeypatch):
    if "torch" in line:
        pytest.importorskip("torch")
    if line in SLOWEST:
        pytest.skip("it takes minutes")
    monkeypatch.chdir(tmp_path)
    for name in ("mine.py", "old.py"):
        Path(name).write_text(MINE)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        photo(name)
    np.save("x.npy", np.random.default_rng(0).normal(size=(6, 5)))
    np.savez("x.npz", x=np.load("x.npy"))
    command = line.partition(" > ")[0].split()[1:]
    for name in command:
        if name.endswith(".json") and f"-o {name}" not in line:
            run("bench", "numpy", "-s", "6x5", "--max-time", "0.1", "-o", name)
    words = [name for word in command for name in (sorted(glob.glob(word)) if "*" in word else [word])]
    result = invoke(*words)
    expected = (0, 1, 4) if "--fail-slower" in line else (1,) if "numpynet" in line else (0,)
    assert result.exit_code in expected, result.output
