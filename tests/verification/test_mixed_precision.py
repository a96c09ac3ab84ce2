"""Half-precision x with float32 parameters: how it is written, which kernels take it, and what is wrong with it."""

import json

import numpy as np
import pytest

from bncli.core.case import complete
from bncli.core.kernel import OWN, Kernel, types_of
from bncli.core.problem import Problem
from bncli.errors import InputError
from bncli.kernels import reference
from bncli.loading.registry import load_kernel
from bncli.verification import contract, gradcheck, verify
from bncli.verification.finding import Verdict
from bncli.verification.search import sequence
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.sequence import Fixed
from command_line import fails, run

MIXED = "784x6/channels-last/float16/params=float32/eps=1e-05"


def test_the_descriptor_parses_back_and_without_it_parameters_are_of_the_type_of_x():
    mixed, own = Problem.parse(MIXED), Problem.parse(MIXED.replace("/params=float32", ""))
    assert (str(mixed), mixed.dtype_of("gamma"), mixed.dtype_of("dbeta"), mixed.dtype_of("dx")) == (
        MIXED, "float32", "float32", "float16",
    )  # fmt: skip
    assert (own.dtype_of("gamma"), str(own)) == ("float16", MIXED.replace("/params=float32", ""))
    assert mixed != own
    assert Problem.parse("6x5/float16", default=mixed).params == ""
    assert Problem.parse("6x5", default=mixed).params == "float32"
    assert Problem.parse("6x5/float32/params=float32") == Problem.parse("6x5/float32")


@pytest.mark.parametrize("types", ["float64/params=float32", "float32/params=float16", "float16/params=float64"])
def test_other_parameters_are_refused(types):
    with pytest.raises(InputError, match="use float32 with half precision"):
        Problem.parse(f"6x5/{types}")


def test_a_case_has_arrays_of_these_types():
    case = complete(Problem.parse(MIXED), {"x": np.ones((784, 6))}, seed=0)
    types = {name: str(getattr(case, name).dtype) for name in ("x", "gamma", "beta", "dy")}
    assert types == {"x": "float16", "gamma": "float32", "beta": "float32", "dy": "float16"}
    few = case.select(np.array([1, 3]))
    assert (few.problem.types, few.gamma.dtype) == ("float16/params=float32", np.float32)


def test_a_kernel_says_which_it_takes():
    kernel = Kernel(reference.forward, reference.backward, dtypes=("float16", "float32"))
    assert types_of(kernel) == ("float16", "float32")
    both = Kernel(reference.forward, reference.backward, dtypes=("float16", "float32"), params=("float32", OWN))
    assert types_of(both) == ("float16/params=float32", "float16", "float32")


def test_a_search_draws_what_the_kernel_takes_and_keeps_what_was_asked_for():
    types = types_of(load_kernel("reference"))
    drawn = {sequence.case(0, i, types).problem.types for i in range(120)}
    assert {"float16", "float16/params=float32", "bfloat16/params=float32"} <= drawn
    asked = [sequence.case(0, i, types, Fixed("bfloat16", "float32")).problem.types for i in range(60)]
    assert set(asked) == {"bfloat16/params=float32"}
    either = {sequence.case(0, i, types, Fixed("bfloat16")).problem.types for i in range(60)}
    assert either == {"bfloat16", "bfloat16/params=float32"}


def test_a_right_kernel_passes_and_its_line_shows_it_again():
    report = gradcheck.gradcheck("reference", MIXED)
    assert not report.failures
    result = run("gradcheck", "reference", "--dtype", "float16", "--shape", "6x5", "--search", "0", "--format", "json")
    assert json.loads(result.stdout)["rows"][0]["problem"] == "6x5/per-activation/float16/params=float32/eps=1e-08"
    own = run("gradcheck", "reference", "--dtype", "float16", "--params", "own", "--shape", "6x5", "--search", "0")
    assert "6x5/per-activation/float16/eps=1e-08" in own.stdout


def test_gradients_of_another_type_are_named():
    def backward(dy, saved):
        dx, dgamma, dbeta = reference.backward(dy, saved)
        return dx, dgamma.astype(dy.dtype), dbeta

    kernel = Kernel(reference.forward, backward, dtypes=("float16",), params=("float32",), name="mine")
    case = complete(Problem.parse(MIXED), {"x": np.random.default_rng(0).standard_normal((784, 6))}, seed=0)
    finding = contract.check(kernel, case)
    assert (finding.verdict, finding.broken) == (Verdict.WRONG, ("dtypes",))
    assert finding.reason == "dgamma is float16 where x is float16/params=float32"


def test_sums_in_half_precision_are_wrong_with_any_parameters():
    def backward(dy, saved):
        dx, dgamma, _ = reference.backward(dy, saved)
        total = np.zeros(dy.shape[1], dy.dtype)
        for row in dy:
            total += row.sum(1, dtype=dy.dtype)
        return dx, dgamma, total.astype(np.float32)

    kernel = Kernel(reference.forward, backward, dtypes=("float16",), params=("float32",), name="mine")
    report = verify.verify(kernel, case="4096x8/per-activation/float16/params=float32/eps=1e-05")
    assert [(row.verdict, row.array) for row in report.rows] == [("WRONG", "dbeta")]


def test_a_kernel_that_does_not_take_it_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "kernel 'numpy' does not take float16: use --dtype" in fails("gradcheck", "numpy", "--dtype", "float16")
    assert "--params float32 is for x in half precision, not in float64" in fails(
        "gradcheck", "reference", "--params", "float32"
    )


def test_a_case_line_with_parameters_parses_back():
    line = CaseLine.parse(f"{MIXED} data=x100 seed=5")
    assert CaseLine.parse(str(line)) == line
    assert "params=float32" in str(line)
