"""The search as commands and the library show it: its row, one case, kernels that die, Ctrl-C, and refusals."""

import json
import shlex

import pytest

import bncli
from bncli.commands import _search
from bncli.core.rows.checks import SearchRow
from bncli.errors import CheckFailed, InputError
from bncli.verification.search import searching
from command_line import invoke

WRONG_CASE = "6x7x4/channels-first/float32/eps=1e-05 seed=1"
TWO_PASSES = """
from bncli.kernels import numpy
{dtypes}
def forward(x, gamma, beta, epsilon):
    {first}
    return numpy.forward(x, gamma, beta, epsilon)
backward, infer = numpy.backward, numpy.infer
"""


def kernel_file(folder, first="", dtypes=""):
    path = folder / "mine.py"
    path.write_text(TWO_PASSES.format(first=first or "pass", dtypes=dtypes))
    return str(path)


def run(*words):
    return invoke(*words, columns=200)


def rows_of(*words):
    result = run(*words, "--format", "json")
    return result.exit_code, [
        row for row in json.loads(result.stdout)["rows"] if row.get("check") in ("search", "case")
    ]


def test_a_right_kernel_passes_and_the_row_says_how_far_the_search_came():
    code, (row,) = rows_of("gradcheck", "numpy", "--shape", "6x5", "--search", "0.3", "--seed", "3")
    assert (code, row["kernel"], row["seed"]) == (0, "numpy", 3)
    assert row["verdict"] in ("PASS", "INEXACT")
    assert row["problems"] > 0
    assert row["elements"] > 100
    assert row["case"] == row["reproduce"] == ""
    assert row["note"].startswith(f"numpy: {row['problems']:,} problem")
    assert "; seed 3" in row["note"]


def test_every_reproduce_line_of_a_search_shows_the_same_again():
    code, (row,) = rows_of("gradcheck", "numpynet", "--shape", "6x5", "--search", "1")
    assert (code, row["verdict"]) == (1, "WRONG")
    words = shlex.split(row["reproduce"].removeprefix("reproduce: bncli "))
    assert words[-1] == row["case"]
    again, (case,) = rows_of(*words)
    assert (again, case["check"], case["verdict"], case["array"]) == (1, "case", "WRONG", row["array"])
    assert case["note"].rpartition("numpynet: ")[2] in row["note"]
    verified, (case,) = rows_of("verify", *words[1:])
    assert (verified, case["verdict"]) == (1, "WRONG")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "its process was ended by SIGSEGV"),
        ("import time; time.sleep(60)", "it did not come back within 1 s"),
    ],
)
def test_a_kernel_that_dies_or_hangs_is_wrong_and_the_case_is_named(tmp_path, fault, says):
    path = kernel_file(tmp_path, first=f"if x.shape[1] == 64: {fault}")
    code, rows = rows_of("gradcheck", path, "numpy", "--shape", "6x5", "--search", "0.5", "--timeout", "1")
    assert code == 1
    mine, other = rows
    assert mine["verdict"] == "WRONG"
    assert other["verdict"] in ("PASS", "INEXACT")
    assert says in mine["note"]
    assert mine["case"].startswith("5x64x9/channels-first/")
    assert mine["problems"] == 2


def test_what_was_typed_stays_the_same_in_every_case(monkeypatch):
    seen = []
    run_case = searching.trial.run
    monkeypatch.setattr(searching.trial, "run", lambda kernel, line: seen.append(line) or run_case(kernel, line))
    typed = ("--dtype", "float32", "--epsilon", "0.25", "--layout", "channels-last", "--threads", "1")
    assert run("verify", "numpy", "--search", "0.3", "--random", "normal", *typed).exit_code == 0
    assert seen
    assert {(line.problem.dtype, line.problem.epsilon, str(line.problem.layout), line.threads) for line in seen} == {
        ("float32", 0.25, "channels-last", 1)
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--case", "6x5 seeds=1"), "cannot read 'seeds=1' in a case: write a part as data="),
        (("--case", WRONG_CASE, "--shape", "6x5"), "--case already holds a shape: leave out --shape"),
        (("--search", "-1"), "'-1' is too small: give 0 or more"),
    ],
)
def test_what_cannot_be_searched_is_said_in_a_line(words, says):
    result = run("gradcheck", "numpy", *words)
    assert result.exit_code == 2
    assert says in result.stderr


def test_ctrl_c_says_how_far_the_search_came(monkeypatch):
    run_case = searching.trial.run
    calls = []

    def interrupted(kernel, line):
        calls.append(line)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return run_case(kernel, line)

    monkeypatch.setattr(searching.trial, "run", interrupted)
    result = run("gradcheck", "numpy", "--shape", "6x5", "--search", "5")
    assert result.exit_code == 130
    assert "numpy: interrupted; 3 problems to " in result.stdout


def test_a_search_follows_only_where_no_problem_is_named(monkeypatch):
    monkeypatch.setattr(_search, "DEFAULT", {"gradcheck": 0.2, "verify": 0.2})
    for words, searched in (
        (("gradcheck",), 1),
        (("gradcheck", "--shape", "6x5"), 0),
        (("verify", "--shape", "6x5"), 1),
    ):
        code, rows = rows_of(words[0], "numpy", *words[1:])
        assert (code, len(rows)) == (0, searched)


@pytest.mark.parametrize("error", ["ValueError", "TypeError", "NotImplementedError", "RuntimeError"])
def test_a_kernel_may_refuse_what_it_need_not_do(tmp_path, error):
    path = kernel_file(tmp_path, first=f"if not x.flags.c_contiguous: raise {error}('give contiguous memory')")
    case = "9x12x5/channels-first/float32/eps=1e-05 memory=x[::2]"
    code, (row,) = rows_of("gradcheck", path, "--case", case)
    refused = error != "RuntimeError"
    assert (code, row["verdict"], row["refused"]) == ((0, "REFUSED", 1) if refused else (1, "WRONG", 0))
    assert "give contiguous memory" in row["note"]


def test_a_kernel_of_one_dtype_needs_no_dtype_option(tmp_path):
    path = kernel_file(tmp_path, dtypes='dtypes = ("float32",)')
    result = run("gradcheck", path, "--shape", "6x5", "--search", "0.2")
    assert result.exit_code == 0
    assert "6x5/per-activation/float32" in result.stdout
    bncli.gradcheck(path).raise_if_failed()


def test_the_library_searches_too():
    report = bncli.gradcheck("numpynet", "6x5", search=0.5)
    (row,) = report.rows_of(SearchRow)
    assert row.verdict == "WRONG"
    (case,) = bncli.verify("numpynet", case=row.case).rows
    assert (case["verdict"], case["array"]) == ("WRONG", row.array)
    with pytest.raises(InputError, match="cannot read 'x' in a case"):
        bncli.gradcheck("numpy", case="6x5 x")


def test_fewer_digits_than_asked_for_fail():
    words = ("verify", "numpy", "--shape", "64x5/float32", "--random", "normal")
    assert run(*words, "--digits", "5").exit_code == 0
    result = run(*words, "--digits", "20")
    assert result.exit_code == 1
    assert "numpy: normal has " in result.stderr
    assert "digits, fewer than 20" in result.stderr
    with pytest.raises(CheckFailed, match="fewer than 20"):
        bncli.gradcheck("numpy", "6x5", digits=20).raise_if_failed()


ADDS_UP = """
from bncli.kernels import numpy
{calls}

def forward(x, gamma, beta, epsilon):
    return numpy.forward(x, gamma, beta, epsilon)

def backward(dy, saved):
    dx, dgamma, dbeta = numpy.backward(dy, saved)
    CALLS.append(None)
    return dx, dgamma * (2 if len(CALLS) > 30 else 1), dbeta
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["file", "helper"])
def test_a_fault_that_needs_earlier_calls_is_shown_again_in_a_new_process(tmp_path, where):
    path = tmp_path / "mine.py"
    if where == "helper":  # which is loaded once a process, so that earlier cases count too
        (tmp_path / "calls_of_mine.py").write_text("CALLS = []\n")
    path.write_text(ADDS_UP.format(calls="CALLS = []" if where == "file" else "from calls_of_mine import CALLS"))
    code, (row,) = rows_of("gradcheck", str(path), "--shape", "6x5", "--search", "20")
    assert (code, row["verdict"], row["array"]) == (1, "WRONG", "dgamma")
    assert row["rule"].startswith("wrong from the 31st backward on (") == (where == "file")
    assert row["rule"] in row["note"]
    words = shlex.split(row["reproduce"].removeprefix("reproduce: bncli "))
    again, (case,) = rows_of(*words)
    assert (again, case["verdict"], case["array"]) == (1, "WRONG", "dgamma")
