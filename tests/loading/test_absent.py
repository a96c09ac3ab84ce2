"""Kernels that lack a backward, or have an infer alone: judged and timed for what they have."""

import json
from pathlib import Path

import pytest

import bncli
from bncli.errors import InputError
from bncli.loading.registry import load_kernel
from command_line import fails, run

INFER = """
import numpy as np
def infer(x, gamma, beta, mean, var, epsilon):
    scale = gamma / np.sqrt(var + x.dtype.type(epsilon))
    return (x - mean[:, None]) * scale[:, None] + beta[:, None]
"""
FORWARD = """
arrays = "numpy"
def bn(x, gamma, beta, epsilon):
    std = (x.var((0, 2), keepdims=True) + epsilon) ** 0.5
    return (x - x.mean((0, 2), keepdims=True)) / std * gamma[:, None] + beta[:, None]
"""
NAMESPACE = FORWARD.replace("bn(", "forward(")
KINDS = {
    "infer": INFER,
    "function": FORWARD,
    "forward": NAMESPACE,
    "y and saved": NAMESPACE.replace("None]\n", "None], x\n"),
}
ON_ARRAYS = {
    "torch": NAMESPACE.replace('"numpy"', '"torch"')
    .replace("keepdims=True)", "keepdim=True)")
    .replace("var((0, 2)", "var((0, 2), unbiased=False"),
    "torch's infer": 'arrays = "torch"'
    + INFER.replace("np.sqrt(var + x.dtype.type(epsilon))", "(var + epsilon) ** 0.5"),
    "jax": NAMESPACE.replace('"numpy"', '"jax"'),
    "jax's infer": 'arrays = "jax"' + INFER.replace("np.sqrt(var + x.dtype.type(epsilon))", "(var + epsilon) ** 0.5"),
}
QUICK = ("--search", "0", "--random", "normal", "--dtype", "float64")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(text, path="mine.py"):
    Path(path).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("text", KINDS.values(), ids=KINDS)
def test_what_is_there_is_verified(text):
    write(text)
    run("verify", "mine.py", *QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_there_is_verified_and_searched_in_a_process_of_its_own(kind):
    write(KINDS[kind])
    run("verify", "mine.py", *QUICK[2:], "--search", "0.2", "--isolate")


@pytest.mark.parametrize(("framework", "text"), [(name.partition("'")[0], text) for name, text in ON_ARRAYS.items()])
def test_what_is_there_is_verified_on_arrays_of_a_framework(framework, text):
    pytest.importorskip(framework)
    write(text)
    run("verify", "mine.py", *QUICK)
    run("bench", "mine.py", "--shape", "6x5", "--max-time", "0", "--pass", "infer" if "infer(" in text else "forward")
    write(text.replace("+ beta", "- beta"), "other.py")
    run("verify", "other.py", *QUICK, code=1)


@pytest.mark.parametrize(
    ("text", "array"),
    [(INFER.replace("+ x.dtype.type(epsilon)", ""), "infer"), (FORWARD.replace("+ beta", "- beta"), "y")],
)
def test_a_fault_of_what_is_there_is_wrong(text, array):
    write(text)
    rows = json.loads(run("verify", "mine.py", *QUICK, "--format", "json", code=1).stdout)["rows"]
    assert {row["array"] for row in rows if row["verdict"] == "WRONG"} >= {array}
    assert not {"dx", "dgamma", "dbeta"} & {row["array"] for row in rows}


def test_gradcheck_says_that_there_is_no_backward_and_which_command_serves():
    write(FORWARD)
    said = run("gradcheck", "mine.py", code=2).stderr
    assert "has no backward to check: bncli verify mine.py checks its forward" in said
    assert "mine is a function of NumPy arrays: forward\n" in said
    write(INFER, "other.py")
    assert "bncli verify other.py checks its infer" in fails("gradcheck", "other.py")
    with pytest.raises(InputError, match="has no backward to check"):
        bncli.gradcheck(load_kernel("mine.py"))


def test_bench_times_what_is_there():
    write(FORWARD)
    found = json.loads(run("bench", "mine.py", "--shape", "6x5", "--max-time", "0", "--format", "json").stdout)["rows"]
    assert [row["direction"] for row in found if row.get("median") and row["kernel"] == "mine"] == ["forward"]
    write(INFER, "other.py")
    assert "has no forward and no backward: give --pass infer" in fails("bench", "other.py", "--shape", "6x5")
    run("bench", "other.py", "--shape", "6x5", "--max-time", "0", "--pass", "infer")


def test_forward_and_backward_show_what_is_there():
    write(FORWARD)
    run("forward", "mine.py", "--shape", "6x5")
    assert "has no backward: bncli forward shows its y" in run("backward", "mine.py", "--shape", "6x5", code=2).stderr
    write(INFER, "other.py")
    assert "has no forward: use --mode infer" in fails("forward", "other.py", "--shape", "6x5")
    run("forward", "other.py", "--shape", "6x5", "--mode", "infer")


def test_a_backward_alone_is_no_kernel():
    write("def backward(dy, saved): pass\n")
    assert "it has no forward: a kernel needs forward(x, gamma, beta, epsilon)" in fails("verify", "mine.py")
