"""bncli bench: what is timed, on which outputs, beside which limit, and how it is told."""

import json
import sys

import pytest

from bench_runs import run, saved
from bncli.benchmarking.settings import Settings
from bncli.benchmarking.summary import summary
from planted import typed

SMALL = ("--shape", "5x4x4x3", "--max-time", "0")
ONLY_TRAINING = """
def forward(x, gamma, beta, epsilon):
    mean = x.mean((0, 2))
    inv_std = (x.var((0, 2)) + epsilon) ** -0.5
    x_hat = (x - mean[:, None]) * inv_std[:, None]
    return gamma[:, None] * x_hat + beta[:, None], (x_hat, gamma, inv_std)

def backward(dy, saved):
    x_hat, gamma, inv_std = saved
    terms = dy.mean((0, 2))[:, None] + x_hat * (dy * x_hat).mean((0, 2))[:, None]
    return (gamma * inv_std)[:, None] * (dy - terms), (dy * x_hat).sum((0, 2)), dy.sum((0, 2))
"""
IGNORES_OUT = """
import numpy as np
from bncli.core.kernel import Kernel
from bncli.kernels import numpy

def forward(x, gamma, beta, epsilon, *, out=None):
    y, saved = numpy.forward(x, gamma, beta, epsilon)
    return (y if out is None else out), saved

KERNEL = Kernel(forward, numpy.backward)
"""
pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


def rows(*arguments, code=0):
    return json.loads(run(*arguments, "--format", "json", code=code).stdout)["rows"]


def passes_of(found):
    return [(row["kernel"], row["direction"], row["outputs"]) for row in found if row["direction"] != "limit"]


def test_inference_is_verified_and_timed_where_it_is_asked_for():
    found = rows(*SMALL, "--kernel", "numpy", "--pass", "infer")
    assert passes_of(found) == [("numpy", "infer", "fresh")]
    infer, limit = found
    assert (infer["verdict"], infer["bytes"]) == ("PASS", 2 * 240 * 8)
    assert infer["digits"] > 14
    assert infer["median"] > 0
    assert (limit["kernel"], limit["direction"]) == ("copy", "limit")


def test_the_passes_come_in_the_order_that_is_asked_for_and_once():
    found = rows(*SMALL, "--kernel", "numpy", "--pass", "infer", "--pass", "forward", "--pass", "infer")
    assert [direction for _, direction, _ in passes_of(found)] == ["infer", "forward"]


def test_wrong_inference_gets_no_time_and_does_not_pass_for_wrong_training():
    with open("mine.py", "w", encoding="utf-8") as file:
        file.write(ONLY_TRAINING + "\ndef infer(x, gamma, beta, mean, var, epsilon):\n    return 2 * x\n")
    forward, infer, *_ = rows(*SMALL, "--kernel", "mine.py", "--pass", "forward", "--pass", "infer", code=1)
    assert (forward["verdict"], infer["verdict"]) == ("PASS", "WRONG")
    assert "median" not in infer
    assert "infer is WRONG" in infer["note"]
    assert "median" in rows(*SMALL, "--kernel", "mine.py")[0]  # where nobody asks for it, it is not looked at


def test_a_kernel_without_inference_is_timed_at_what_it_has():
    with open("mine.py", "w", encoding="utf-8") as file:
        file.write(ONLY_TRAINING)
    found = rows(*SMALL, "--kernel", "mine.py", "--pass", "forward", "--pass", "infer")
    assert found[0]["median"] > 0
    assert "median" not in found[1]
    assert found[1]["note"] == "mine is not timed: it has no infer"


def test_outputs_are_fresh_given_or_both():
    kernels = ("--kernel", "numpy", "--kernel", "numba")
    expected = {"fresh": ["fresh"], "given": ["given"], "both": ["fresh", "given"]}
    for outputs, each in expected.items():
        shown = run(*SMALL, *kernels, "--outputs", outputs, "--export", "out.json").stdout
        assert ("outputs" in shown.splitlines()[1].split()) == (outputs == "both")
        found = saved()["rows"]
        assert passes_of(found) == [
            (kernel, direction, one)
            for kernel in ("numpy", "numba")
            for one in each
            for direction in ("forward", "backward")
        ]
        assert all(row["median"] > 0 for row in found)
        # The baseline is compared on outputs of the same kind.
        assert [row["speedup"] for row in found[: 2 * len(each)]] == [1] * 2 * len(each)


def test_given_outputs_are_verified():
    with open("mine.py", "w", encoding="utf-8") as file:
        file.write(IGNORES_OUT)
    found = rows(*SMALL, "--kernel", "mine.py", "--outputs", "both", code=1)
    assert [row["verdict"] for row in found] == ["PASS", "PASS", "WRONG", "PASS"]
    assert not any("median" in row for row in found)
    assert found[2]["note"].startswith("mine is not timed: y is WRONG")


def test_a_kernel_that_knows_no_out_is_timed_with_given_outputs_too():
    with open("mine.py", "w", encoding="utf-8") as file:
        file.write(ONLY_TRAINING)
    found = rows(*SMALL, "--kernel", "mine.py", "--outputs", "given")
    assert [row["verdict"] for row in found[:2]] == ["PASS", "PASS"]
    assert all(row["median"] > 0 for row in found)


def test_where_nothing_is_timed_neither_is_the_memory():
    found = rows(*SMALL, "--kernel", "numpynet", code=1)
    assert passes_of(found) == [("numpynet", direction, "fresh") for direction in ("forward", "backward")]
    assert len(found) == 2


BOTH = ("--outputs", "both", "--pass", "forward", "--pass", "backward", "--pass", "infer")


@pytest.mark.parametrize("columns", [80, 300])
@pytest.mark.parametrize(
    "options", [("--wide",), *(pytest.param(each, marks=pytest.mark.slow) for each in ((), BOTH, ("--wide", *BOTH)))]
)
def test_the_tables_fit_the_terminal(options, columns):
    kernels = ("--kernel", "numpy", "--kernel", "numpynet", "--kernel", "reference")
    shapes = ("--shape", "5x4x4x3", "--shape", "7x5", "--max-time", "0")
    lines = run(*shapes, *kernels, *options, columns=columns, code=1).stdout.splitlines()
    assert max(len(line) for line in lines if not line.startswith("reproduce: ")) <= columns
    header = lines[1].split()
    assert {"kernel", "digits"} <= set(header)
    assert ("verdict" in header) == ("--wide" in options)
    assert ("call" in header) == ("--wide" in options and columns == 300)


def test_a_table_is_printed_after_its_problem_and_only_once():
    result = run("--shape", "5x4", "--shape", "3x2", "--kernel", "numpy", "--max-time", "0")
    titles = [line for line in result.stdout.splitlines() if line.startswith(("5x4/", "3x2/"))]
    assert [title[:3] for title in titles] == ["5x4", "3x2"]
    failed = run("--shape", "5x4", "--shape", "99999x99999x99", "--kernel", "numpy", "--max-time", "0", code=2)
    assert failed.stdout.startswith("5x4/")
    assert "\nlimit " in failed.stdout


def timed(problem, kernel, samples, of_limit, direction="forward", outputs="fresh"):
    return {
        "problem": problem, "input": "", "kernel": kernel, "direction": direction, "outputs": outputs,
        "samples": samples, "median": sorted(samples)[len(samples) // 2], "of_limit": of_limit,
    }  # fmt: skip


def test_the_summary_compares_with_the_fastest_other_of_each_problem():
    # On p, a is 8 times faster than b; on q, 9 times faster than b and twice as fast as c; on r it is alone.
    rows = typed([
        timed("p", "a", [1.0, 1.0, 10.0], 2.0),
        timed("p", "b", [8.0, 8.0, 80.0], 16.0),
        timed("q", "a", [1.0, 1.0, 1.0], 8.0),
        timed("q", "b", [9.0, 9.0, 9.0], 9.0),
        timed("q", "c", [2.0, 2.0, 2.0], 2.0),
        timed("r", "a", [1.0], 100.0),
        timed("p", "a", [1.0, 1.0, 1.0], 100.0, outputs="given"),
        {"problem": "p", "kernel": "d", "direction": "forward", "outputs": "fresh"},
        {"problem": "p", "kernel": "copy", "direction": "limit", "samples": [0.1]},
    ])  # fmt: skip
    found = summary(rows, Settings()).rows
    assert [row["kernel"] for row in found] == ["a", "b"]  # c and the given outputs have one problem or none
    a, b = found
    assert (a["problems"], a["speedup"], a["least"], a["where"]) == (2, pytest.approx(4), 2, "q")
    assert a["of_limit"] == pytest.approx(4)
    assert (b["speedup"], b["least"]) == (pytest.approx((1 / 8 * 1 / 9) ** 0.5), 1 / 9)


def test_the_summary_stands_below_the_tables_of_several_problems():
    kernels = ("--kernel", "numpy", "--kernel", "reference")
    shown = run("--shape", "5x4", "--shape", "6x3", *kernels, "--max-time", "0").stdout
    assert "geometric means over the problems" in shown
    assert "geometric" not in run(*SMALL, *kernels).stdout


# Presets.


@pytest.fixture
def _no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed


def write_preset(kernels, more=""):
    with open("mine.toml", "w", encoding="utf-8") as file:
        file.write(f'shape = "5x4x4x3"\nkernel = {json.dumps(kernels)}\n{more}[bench]\nmax-time = 0\n')


@pytest.mark.usefixtures("_no_torch")
def test_what_a_preset_names_and_cannot_run_is_left_out_with_a_warning():
    write_preset(["torch", "reference", "numpy"])
    result = run("--preset", "mine.toml", "--format", "json")
    assert {name for name, _, _ in passes_of(json.loads(result.stdout)["rows"])} == {"reference", "numpy"}
    warning = "warning: kernel 'torch' is left out: PyTorch is not installed: pip install 'bncli[peers]'\n"
    assert result.stderr.startswith(warning)
    first = json.loads(result.stdout)["rows"][0]
    assert (first["kernel"], first["speedup"]) == ("reference", 1)  # the first that is there is the baseline


@pytest.mark.usefixtures("_no_torch")
def test_what_is_typed_must_be_there_though_the_preset_names_it_too():
    write_preset(["torch", "numpy"])
    assert run("--preset", "mine.toml", "--kernel", "torch", code=3).stdout == ""


def test_a_preset_without_a_kernel_that_can_do_it_is_an_error():
    write_preset(["numpy", "numba"], 'dtype = "float16"\n')
    lines = run("--preset", "mine.toml", code=2).stderr.splitlines()
    assert lines == [
        "warning: kernel 'numpy' is left out: it does not take float16",
        "warning: kernel 'numba' is left out: it does not take float16",
        "bncli: error: no kernel of the preset takes float16 here: see bncli kernels",
    ]
