"""Kernels of a user's own on the command line."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from bncli import plugins
from bncli.cli import main
from bncli.loading.registry import kernel_names, registered_kernel
from command_line import run
from user_files import BACKWARD, KERNEL, SMALL, assert_right, called, fails, loaded, write

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


def test_the_template_passes_gradcheck_everywhere():
    write("template.py", run("kernels", "--template").stdout)
    for layout in ("per-activation", "channels-last", "channels-first"):
        for dtype in ("float32", "float64"):
            found = run("gradcheck", "--kernel", "template.py", *SMALL, "--layout", layout, "--dtype", dtype)
            assert found.stderr == ""


def test_the_template_is_a_file_to_start_from(make_case):
    text = run("kernels", "--template", "--format", "json").stdout
    assert text.count("\n") <= 30
    kernel = loaded(text)
    assert kernel.summary == "My batch normalization: this line is what reports call it."
    single = make_case("6x5/per-activation/float32/eps=0.001")
    assert {array.dtype for array in called(kernel, single).values()} == {np.dtype("float32")}
    assert_right(kernel, make_case("6x3x4/channels-first"))


@pytest.mark.slow
def test_a_real_process_checks_a_file():
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = (
        f"'{sys.executable}' -W error -m bncli kernels --template > template.py && "
        f"'{sys.executable}' -W error -m bncli gradcheck --shape 5x4 --kernel template.py"
    )
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, timeout=120, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "PASS" in done.stdout
    assert os.listdir() == ["template.py"]


@pytest.mark.slow
def test_what_a_file_leaves_is_collected_at_the_end():
    # Extensions, as those made with nanobind, report what is not collected as a leak.
    write(
        "mine.py",
        """
import os
class Held:
    def __init__(self):
        self.itself = self
    def __del__(self, write=os.write):
        write(2, b"collected")
held = Held()
"""
        + KERNEL,
    )
    command = [sys.executable, "-m", "bncli", "forward", "mine.py", *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == "collected"


def test_a_kernel_that_raises_is_a_failed_check():
    write("mine.py", "def forward(x, g, b, e): 1 / 0\n" + BACKWARD)
    result = run("gradcheck", *SMALL, "--kernel", "mine.py", "--kernel", "numpy", code=1)
    assert "forward raised ZeroDivisionError" in " ".join(result.stdout.split())


def test_a_wrong_file_is_rejected():
    write("mine.py", KERNEL.replace("- x_hat * (", "- 1.001 * x_hat * ("))
    assert "mine: dx is WRONG" in run("gradcheck", *SMALL, "--kernel", "mine.py", code=1).stderr


def test_a_preset_cannot_run_a_file():
    write("mine.py", "open('ran', 'w')\n" + KERNEL)
    write("sub/mine.py", "open('ran', 'w')\n" + KERNEL)
    for kernel in ("mine.py", "sub/mine.py", "sub.mine"):
        write("own.toml", f'kernel = ["numpy", "{kernel}"]\n')
        assert fails("forward", "--preset", "own.toml") == (
            f"bncli: error: kernel {kernel!r}: a preset cannot run a file's code: type it on the command line"
        )
    write("own.toml", 'kernel = "mine"\n')
    assert "no kernel is called 'mine': there are: " in fails("forward", "--preset", "own.toml")
    write("own.toml", 'kernel = "nunpy"\n')
    assert fails("forward", "--preset", "own.toml").endswith("no kernel is called 'nunpy': did you mean 'numpy'?")
    assert not os.path.exists("ran")
    run("forward", *SMALL, "--preset", "own.toml", "--kernel", "mine.py")
    assert os.path.exists("ran")


@pytest.mark.slow
def test_a_preset_may_ask_for_all():
    write("own.toml", 'kernel = "all"\n')
    assert "numpynet" in run("forward", *SMALL, "--preset", "own.toml").stdout


def test_all_leaves_out_what_does_not_take_the_dtype(publish):
    publish("half = fake_half", fake_half="dtypes = 'float16'\n" + KERNEL)
    result = run("forward", "--shape", "5x4x4x3", "--kernel", "all", "--dtype", "float64")
    assert "warning: kernel 'half' is left out: it does not take float64\n" in result.stderr
    assert "reference" in result.stdout


def test_all_of_nothing_is_an_error(monkeypatch):
    for name in kernel_names():
        kernel = replace(registered_kernel(name), dtypes=("float16",))
        monkeypatch.setattr(plugins.load("bncli.kernels", name), "KERNEL", kernel)
    line = run("forward", *SMALL, "--kernel", "all", code=2).stderr.splitlines()[-1]
    assert line == "bncli: error: no registered kernel takes float64 here: see bncli kernels"


def test_help_says_that_a_files_code_is_run():
    text = " ".join(run("forward", "--help").stdout.split())
    assert "--kernel NAME|FILE.py|MODULE" in text
    assert "whose code is run" in text


def test_names_are_completed_and_then_files(monkeypatch):
    def complete(word, option="--kernel "):
        environment = {
            "_BNCLI_COMPLETE": "bash_complete",
            "COMP_WORDS": f"bncli forward {option}{word}",
            "COMP_CWORD": str(2 + len(option.split())),
        }
        return CliRunner().invoke(main, [], env=environment, prog_name="bncli").stdout.split()

    for option in ("--kernel ", "-k ", "", "numpy "):
        assert complete("ref", option) == ["plain,reference"]
        assert complete("mi", option) == ["file,mi"]
