"""Layer classes in files: their faults are named, and right ones pass, whatever their convention."""

from pathlib import Path

import numpy as np
import pytest

from bncli.loading.registry import load_kernel
from bncli.verification.finding import Verdict
from bncli.verification.layers import layer_findings
from command_line import fails, rows, run
from layer_files import EVALUATE, MEANS, UNBIASED, UPDATE, layer

NAME = "mine.py"
OPTIONS = ("--search", "0", "--random", "normal", "--shape", "6x5", "--dtype", "float64")
KERAS = UPDATE.replace("(1 - m)", "M").replace("m *", "(1 - m) *").replace("M", "m")
NEXT = "; self.running_mean = self.running_mean.astype('float16')"
UPDATES = {
    "the running variance is never updated": UPDATE.replace("(1 - m) * self.running_var + m * var", "self.running_var"),
    "in the running mean the old value weighs 1 and the new batch 0.1": (
        UNBIASED.replace("(1 - m) * self.running_mean", "self.running_mean")
    ),
    "the running variance averages the batch's standard deviation": UPDATE.replace("+ m * var", "+ m * var**0.5"),
    "one sample per feature leaves NaN in the running variance": UNBIASED.replace("max(n - 1, 1)", "np.float64(n - 1)"),
    "momentum is ignored: the new batch weighs 0.1, whether momentum is 0.1 or 0.3": f"m = 0.1; {UNBIASED}",
    "training changes the running mean from float64 to float16": UNBIASED + NEXT,
}
EVALUATIONS = {
    "eval before the first training step uses the batch's statistics": "pass",
    "eval after training adds epsilon after the square root": (
        f"{EVALUATE}; var = (var**0.5 + self.eps) ** 2 - self.eps"
    ),
    "eval changes the running mean": f"self.running_mean = 0.9 * self.running_mean + 0.1 * mean; {EVALUATE}",
}
FAULTS = {
    **{words: {"update": text} for words, text in UPDATES.items()},
    **{words: {"evaluate": text} for words, text in EVALUATIONS.items()},
    "in eval mode dx is wrong: dx of a sample depends on the dy of others": {
        "means": MEANS.replace("self.training * ", "")
    },
}
CONVENTIONS = {
    "momentum is the weight of the new batch; the variance is unbiased, as in PyTorch": UNBIASED,
    "momentum is the weight of the old value; the variance is biased, as in Keras, Flax, ONNX and Paddle": KERAS,
    "momentum is the weight of the new batch; the variance is biased, as in none of": UPDATE,
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def loaded(text, name=NAME):
    Path(name).write_text(text, encoding="utf-8")
    return load_kernel(name)


def findings(text, dtype="float64", required="", seed=0):
    return layer_findings.check(loaded(text), dtype, seed, required)


def said(found):
    return "; ".join(finding.reason for finding in found if finding.verdict is Verdict.WRONG)


@pytest.mark.parametrize(("words", "update"), CONVENTIONS.items())
def test_a_convention_is_named_and_no_fault(words, update):
    found = findings(layer(update))
    assert said(found) == ""
    assert words in found[0].reason


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_right_layers_pass_with_each_seed(dtype):
    kernels = [loaded(layer(update), f"layer{k}.py") for k, update in enumerate(CONVENTIONS.values())]
    for seed in range(12):
        assert said(layer_findings.check(kernels[seed % 3], dtype, seed)) == ""


@pytest.mark.parametrize(("words", "fault"), FAULTS.items())
def test_a_fault_is_wrong_and_named(words, fault):
    assert words in said(findings(layer(**fault), "float32"))


@pytest.mark.parametrize(
    ("update", "required", "words"),
    [
        (UNBIASED, "pytorch", ""),
        (KERAS, "keras", ""),
        (KERAS, "onnx", ""),
        (UPDATE, "biased", ""),
        (UPDATE, "pytorch", "the running variance is the biased one, where PyTorch's is unbiased"),
        (UNBIASED, "keras", "momentum is the weight of the new batch, where Keras's is that of the old value"),
        (KERAS, "unbiased", "the running variance is the biased one, where the one asked for is unbiased"),
    ],
)
def test_a_convention_can_be_required(update, required, words):
    found = said(findings(layer(update), required=required))
    assert (words in found) if words else found == ""


def test_verify_prints_the_convention_and_reproduces_a_fault():
    loaded(layer())
    result = run("verify", NAME, *OPTIONS)
    assert "as in PyTorch" in " ".join(result.stdout.split())
    found = rows("verify", NAME, *OPTIONS, "--running", "keras", code=1)
    wrong = [row for row in found if row["verdict"] == "WRONG"]
    assert [row["check"] for row in wrong] == ["running statistics"]
    again = wrong[0]["reproduce"].removeprefix("reproduce: bncli ").split()
    assert [row["verdict"] for row in rows(*again, code=1) if row["check"] == "running statistics"] == ["WRONG"]


def test_a_layer_without_running_statistics_says_so_and_is_judged_for_the_rest():
    text = layer("pass", "pass").replace(
        "self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)", "pass"
    )
    found = {finding.array: finding for finding in findings(text.replace("dy.sum(0)", "2 * dy.sum(0)"))}
    assert found["running statistics"].verdict is Verdict.NOT_TRIED
    assert found["running statistics"].reason == "the layer tracks no running statistics"
    assert found["training mode"].verdict is Verdict.WRONG


def test_a_layer_without_backward_is_judged_for_forward():
    text = layer().partition("    def backward")[0]
    loaded(text)
    result = run("verify", NAME, *OPTIONS)
    assert "mine is a layer class: forward, infer" in result.stderr
    assert "as in PyTorch" in " ".join(result.stdout.split())


def test_an_error_of_the_layer_is_one_line_with_its_place():
    text = layer(evaluate="raise RuntimeError('no eval')")
    assert "it raised RuntimeError: no eval (mine.py, line 16)" in said(findings(text))


def test_an_unknown_convention_is_an_error():
    loaded(layer())
    assert "'--running': 'torch' is not one of" in fails("verify", "mine.py", "--running", "torch")


def test_running_statistics_of_a_large_mean_are_exact():
    found = findings(layer(), "float32")
    assert found[0].digits(np.finfo("float32").eps / 2) > 5
