"""Help, version, and how a user is led."""

import pytest

import bncli
from command_line import COMMANDS, SMALL, rows, run

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


def test_help_lists_every_command():
    text = run("--help").stdout
    assert all(f"\n  {command} " in text for command in COMMANDS)


def test_version_comes_from_one_place():
    assert run("--version").stdout.split()[-1] == bncli.__version__


@pytest.mark.parametrize("command", ["forward", "backward", "gradcheck", "bench"])
def test_with_no_options_each_command_works_on_the_seeds_problem(command):
    extra = ("--max-time", "0") if command == "bench" else ()
    result = run(command, *extra, columns=80)
    assert result.stdout.startswith("5x100x100x3/per-activation/float64/eps=1e-08  --random uniform --seed 0")
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert "numba" in result.stdout


@pytest.mark.parametrize("command", ["forward", "gradcheck"])
def test_the_default_preset_is_what_runs_without_one(command):
    arguments = (command, "--kernel", "numpy")
    assert rows(*arguments, "--preset", "seed") == rows(*arguments)


# Kernels by themselves.


@pytest.mark.parametrize("command", ["forward", "backward", "gradcheck", "verify", "bench"])
def test_kernels_typed_by_themselves_come_before_those_of_the_option_and_each_once(command):
    extra = {"bench": ("--max-time", "0"), "verify": ("--random", "huge")}.get(command, ())
    with open("mine.py", "w", encoding="utf-8") as file:
        file.write("from bncli.kernels import numpy as own\nforward, backward = own.forward, own.backward\n")
    found = rows(command, "reference", "-k", "numpy", *SMALL, "mine.py", "--kernel", "reference", *extra)
    kernels = [row["kernel"] for row in found if row.get("direction") != "limit" and row["kernel"] != "input"]
    again = ["reference (2)"] if command == "bench" else []  # an A/A run
    assert list(dict.fromkeys(kernels)) == ["reference", "mine", "numpy", *again]


@pytest.mark.parametrize("command", ["forward", "backward", "gradcheck", "verify", "bench"])
def test_help_says_that_a_kernel_needs_no_option(command):
    text = " ".join(run(command, "--help").stdout.split())
    assert f" {command} [OPTIONS] [KERNEL]... " in text
    assert "-k, --kernel NAME|FILE.py|MODULE" in text
    assert "KERNEL without -k is the same, and comes first." in text
