"""Kernels without gamma, without beta, or without both: judged and timed with a gamma of 1 and a beta of 0."""

import json

import pytest

import bncli
from bncli.core.kernel import BETA, GAMMA
from bncli.loading.registry import load_kernel
from command_line import run
from user_files import write

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")

GRADIENTS = {"scale": "(dy * x_hat).sum((0, 2))", "shift": "dy.sum((0, 2))"}
OF = {(): {"dx"}, (GAMMA,): {"dx", "dgamma"}, (BETA,): {"dx", "dbeta"}}
TAKEN = {(): (), (GAMMA,): ("scale",), (BETA,): ("shift",)}
WITHOUT = {(): "without gamma and beta", (GAMMA,): "without beta", (BETA,): "without gamma"}

INFER = """
def infer(x{parameters}, mean, var, eps):
    return (x - mean[:, None]) / (var[:, None] + eps) ** 0.5 * {scale} + {shift}
"""
FORWARD = """
def forward(x{parameters}, eps):
    std = (x.var((0, 2), keepdims=True) + eps) ** 0.5
    x_hat = (x - x.mean((0, 2), keepdims=True)) / std
    return x_hat * {scale} + {shift}, (x_hat, {scale} / std)
"""
BACKWARD = """
def backward(dy, saved):
    x_hat, scale = saved
    dx_hat = dy - dy.mean((0, 2), keepdims=True) - x_hat * (dy * x_hat).mean((0, 2), keepdims=True)
    return {gradients}
"""


def source(taken, text=FORWARD + BACKWARD + INFER, **changed):
    """A NumPy kernel that takes these of gamma and beta."""
    names = TAKEN[taken]
    found = {
        "parameters": "".join(f", {name}" for name in names),
        "scale": "scale[:, None]" if "scale" in names else "1",
        "shift": "shift[:, None]" if "shift" in names else "0",
        "gradients": ", ".join(["scale * dx_hat", *(GRADIENTS[name] for name in names)]),
    }
    return text.format(**{**found, **changed})


def rows(command, *arguments, code=0):
    result = run(command, "mine.py", *arguments, "--format", "json", code=code)
    return json.loads(result.stdout)["rows"]


@pytest.mark.parametrize(
    "taken", [name if place == 0 else pytest.param(name, marks=pytest.mark.slow) for place, name in enumerate(OF)]
)
def test_what_there_is_is_judged_and_nothing_else(taken):
    write("mine.py", source(taken))
    found = rows("gradcheck", "--shape", "6x5x4/channels-first")
    assert {row["array"] for row in found} == {"y", "contract", *OF[taken]}
    assert {row["verdict"] for row in found} == {"PASS"}
    passed = rows("verify", "--search", "0.2")
    assert {row["verdict"] for row in passed} <= {"PASS", "REFUSED", "INEXACT"}
    assert {"infer", "dx"} <= {row.get("array") for row in passed}


@pytest.mark.parametrize("taken", OF)
def test_the_first_line_says_what_is_missing(taken):
    write("mine.py", source(taken))
    said = run("gradcheck", "mine.py", "--shape", "6x5x4", "--search", "0").stderr
    assert f"mine is a kernel {WITHOUT[taken]}: forward, backward, infer" in said


@pytest.mark.slow
def test_the_only_gradient_may_be_returned_as_it_is_or_with_none_for_the_others():
    for gradients in ("scale * dx_hat", "(scale * dx_hat,)", "scale * dx_hat, None, None"):
        write("mine.py", source((), gradients=gradients))
        assert {row["verdict"] for row in rows("gradcheck", "--shape", "6x5x4", "--search", "0.2")} == {"PASS"}


@pytest.mark.parametrize("taken", OF)
@pytest.mark.parametrize(
    ("right", "wrong", "array"),
    [
        ("/ std\n", "/ std * 1.01\n", "y"),
        ("- x_hat * (dy", "- 0.9 * x_hat * (dy", "dx"),
        ("(x - mean", "(x + mean", ""),
    ],
)
def test_a_fault_is_wrong(taken, right, wrong, array):
    write("mine.py", source(taken).replace(right, wrong))
    words = ("gradcheck", "--shape", "6x5x4") if array else ("verify", "--random", "normal")
    found = rows(*words, "--search", "0", code=1)
    assert array in {row["array"] for row in found if row["verdict"] == "WRONG"} or not array


def test_a_wrong_gradient_of_gamma_alone_is_found():
    write("mine.py", source((GAMMA,), gradients="scale * dx_hat, dy.sum((0, 2))"))
    found = rows("gradcheck", "--shape", "6x5x4", "--search", "0", code=1)
    assert {row["array"] for row in found if row["verdict"] == "WRONG"} >= {"dgamma"}


@pytest.mark.slow
def test_a_search_finds_a_fault_and_its_line_shows_it_again():
    write(
        "mine.py",
        source(()).replace("return x_hat *", "x_hat = x_hat * (1 + 0.1 * (x.shape[1] % 4 == 0))\n    return x_hat *"),
    )
    (found,) = rows("gradcheck", "--search", "5", "--case", "8x4/per-activation/float64/eps=1e-05", code=1)
    assert "where F is a multiple of 4" in found["rule"]


@pytest.mark.parametrize("taken", OF)
def test_it_is_timed(taken):
    write("mine.py", source(taken))
    found = rows(
        "bench", "--shape", "6x5x4", "--max-time", "0", "--pass", "forward", "--pass", "backward", "--pass", "infer"
    )
    assert {row["direction"]: row["verdict"] for row in found if row["kernel"] == "mine"} == dict.fromkeys(
        ("forward", "backward", "infer"), "PASS"
    )


def test_the_arrays_of_backward_are_those_that_there_are():
    write("mine.py", source(()))
    found = rows("backward", "--shape", "6x5x4")
    assert {row["array"] for row in found if row["kernel"] == "mine"} == {"y", "dx"}
    said = run("backward", "mine.py", "--shape", "6x5x4", "--update", code=2).stderr
    assert "kernel 'mine' has no gamma and no beta to update: leave out --update" in said


def test_it_runs_in_a_process_of_its_own():
    write("mine.py", source((BETA,)))
    said = run("gradcheck", "mine.py", "--shape", "6x5x4", "--search", "0", "--isolate")
    assert "mine is a kernel without gamma" in said.stderr
    assert "dgamma" not in said.stdout


def test_a_function_without_them_is_a_helper_where_there_is_a_kernel():
    helper = "def normalized(x, eps): return x\n"
    write("mine.py", 'arrays = "numpy"\n' + helper + "def bn(x, gamma, beta, eps): return x\n")
    assert load_kernel("mine.py").parameters == (GAMMA, BETA)
    write("other.py", 'arrays = "numpy"\n' + helper)
    assert load_kernel("other.py").parameters == ()


def test_objects_of_a_program():
    class Kernel:
        @staticmethod
        def forward(x, eps):
            std = (x.var((0, 2), keepdims=True) + eps) ** 0.5
            return (x - x.mean((0, 2), keepdims=True)) / std, None

    bncli.verify(Kernel, search=0).raise_if_failed()
