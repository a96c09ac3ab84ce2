"""What the library's bench measures, sweeps and threads, and the commands that show it again."""

import json
import math
import shlex
from pathlib import Path
from types import ModuleType

import pytest

import bncli
from bench_runs import BASIC, problems_of, run, saved
from bncli.benchmarking import bench as one
from bncli.core.kernel import Kernel
from bncli.errors import CheckFailed, InputError
from bncli.loading.registry import load_kernel
from command_line import invoke

NUMPY = load_kernel("numpy")
pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


def test_the_library_measures_what_the_command_does():
    report = bncli.bench(["numpy", "numba"], ["5x40/float32", "{3..6:+3}x20"], directions=["forward"], max_time=0)
    assert problems_of({"rows": report.rows}) == ["5x40", "3x20", "6x20"]
    assert {row["kernel"] for row in report.rows} == {"numpy", "numba", "copy"}
    assert all(row["median"] > 0 for row in report.rows)
    assert [row["sweep"].partition("/")[0] for row in report.rows[::3]] == ["", "{3..6:+3}x20", "{3..6:+3}x20"]
    assert report.environment["cpu"]
    report.raise_if_failed()


def test_kernels_may_be_one_and_of_any_kind():
    module = ModuleType("mine")
    module.forward, module.backward = NUMPY.forward, NUMPY.backward
    assert bncli.bench("numpy", "5x4", max_time=0).rows[0]["kernel"] == "numpy"
    report = bncli.bench([module, Kernel(NUMPY.forward, NUMPY.backward)], bncli.Problem((5, 4)), max_time=0)
    assert list(dict.fromkeys(row["kernel"] for row in report.rows)) == ["mine", "kernel", "copy", "add"]
    assert report.rows[0]["rerun"] == ""  # no command line can name it


def test_a_wrong_kernel_fails_the_report_and_has_no_time():
    report = bncli.bench(["numpy", "numpynet"], "5x4x4x3", max_time=0)
    with pytest.raises(CheckFailed, match=r"^numpynet: backward is WRONG$"):
        report.raise_if_failed()
    assert not any(row.get("median") for row in report.rows if row["kernel"] == "numpynet")


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (([],), {}, "there is no kernel to time"),
        (("numpy", "5x{1..2:x1}"), {}, "never ends"),
        (("numpy", "5x4"), {"directions": ["sideways"]}, "sideways"),
        (("numpy", "5x4"), {"outputs": ["stale"]}, "stale"),
        (("numpy", "5x4"), {"caches": ["lukewarm"]}, "lukewarm"),
        (("numpy", "5x4"), {"max_time": math.nan}, "max_time is nan"),
        (("numpy", "5x4"), {"max_time": math.inf}, "max_time is inf"),
        (("numpy", "5x4"), {"precision": -1}, "precision is -1"),
        (("numpy", "5x4/float16"), {}, "does not take float16"),
        (([Kernel(NUMPY.forward, NUMPY.backward) for _ in "ab"],), {}, "2 kernels are named 'kernel'"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(arguments, settings, message, monkeypatch):
    monkeypatch.setattr(one, "rows_of", None)
    with pytest.raises(InputError, match=message):
        bncli.bench(*arguments, **settings)


# What is wrong, and how to see it again.


def test_each_row_has_the_command_that_times_it_again():
    asked = ("--shape", "5x40", "--max-time", "0", "--outputs", "given", "--threads", "1", "--seed", "3")
    rows = json.loads(run(*asked, "--kernel", "numba", "--format", "json").stdout)["rows"]
    for row in rows:
        words = shlex.split(row["rerun"])
        assert words[:2] == ["bncli", "bench"]
        again = json.loads(run(*words[2:], "--max-time", "0", "--format", "json").stdout)["rows"]
        keys = ("problem", "input", "kernel", "direction", "outputs", "cache", "threads")
        assert {key: row.get(key) for key in keys} in [{key: each.get(key) for key in keys} for each in again]


def test_a_wrong_kernel_gets_the_command_that_shows_it():
    shown = run("--shape", "5x4x4x3", "--kernel", "numpynet", "--max-time", "0", "--export", "out.json", code=1)
    line = next(line for line in shown.stdout.splitlines() if line.startswith("reproduce: "))
    words = shlex.split(line.removeprefix("reproduce: "))
    assert words[1] == "gradcheck"
    result = invoke(*words[1:])
    assert (result.exit_code, "numpynet: dx is WRONG" in result.stderr) == (1, True)
    assert [row["reproduce"] for row in saved()["rows"] if row["verdict"] == "WRONG"] == [line]
    assert not any(row["reproduce"] for row in saved()["rows"] if row["verdict"] == "PASS")


def test_wrong_inference_is_shown_again_by_bench_itself():
    text = "from bncli.kernels.numpy import forward, backward\ndef infer(x, *rest):\n    return 2 * x\n"
    Path("mine.py").write_text(text, encoding="utf-8")
    asked = ("--shape", "5x4", "--kernel", "mine.py", "--max-time", "0", "--pass", "infer")
    line = next(line for line in run(*asked, code=1).stdout.splitlines() if line.startswith("reproduce: "))
    assert line.startswith("reproduce: bncli bench --kernel mine.py")
    assert "--pass infer" in line


def test_what_only_bench_finds_is_shown_again_by_bench_itself():
    text = """
import numpy as np
from bncli.kernels import numpy as own
backward, buffers = own.backward, {}
def forward(x, *given):
    y, saved = own.forward(x, *given)
    kept = buffers.setdefault(x.shape, y)
    kept[...] = y
    return kept, saved
"""
    Path("mine.py").write_text(text, encoding="utf-8")
    asked = ("--shape", "5x4/float32", "--kernel", "mine.py", "--max-time", "0")
    shown = run(*asked, "--pass", "forward", "--pass", "backward", code=1).stdout
    (line,) = (line for line in shown.splitlines() if line.startswith("reproduce: "))
    again = run(*shlex.split(line)[3:], "--max-time", "0", code=1).stdout
    reason = "y is WRONG: it lies in the memory of an earlier result"
    assert reason in shown
    assert reason in again


# Sweeps.


def test_a_sweep_ends_with_exponents():
    words = ("--shape", "5x{2..32:x4}", "--kernel", "numpy", "--max-time", "0", "--export", "out.json")
    shown = run(*words).stdout
    title = shown.index("5x{2..32:x4}/per-activation/float64/eps=1e-08: time ~ size^k")
    assert shown.index("5x32/") < title
    assert "exponent k" in shown[title:]
    assert {row["sweep"] for row in saved()["rows"]} == {"5x{2..32:x4}/per-activation/float64/eps=1e-08"}
    assert "exponent" not in run("--shape", "5x{2..8:x4}", *words[2:]).stdout


@pytest.mark.parametrize("threads", ["0", "1,0", "1,,2", "two", "1,-1", "1;2", ""])
def test_what_is_no_number_of_threads_is_one_line(threads):
    result = run(*BASIC, "--threads", threads, code=2)
    assert "write 2, or 1,2,4" in result.stderr
    assert result.stderr.count("\n") == 1


def test_each_number_of_threads_is_timed_where_a_kernel_can_be_bound():
    words = ("--shape", "5x40", "--kernel", "numpy", "--kernel", "numba", "--max-time", "0", "--pass", "forward")
    rows = json.loads(run(*words, "--threads", "1,1", "--format", "json").stdout)["rows"]
    assert [(row["kernel"], row["threads"]) for row in rows] == [("numpy", None), ("numba", 1), ("copy", 1)]
