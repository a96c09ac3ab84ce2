"""The faults of infer and of the statistics that forward saves are named as those of y are."""

import types

import numpy as np
import pytest

from bncli.core.kernel import Kernel
from bncli.verification import contract
from in_turn import in_turn
from plain_kernel import explained, mean, plain


def normalized(x, gamma, beta, middle, inv_std):
    return gamma * (x - middle) * inv_std + beta


FAULTS = {
    "epsilon is ignored, as if it were 0": lambda x, g, b, m, v, e: normalized(x, g, b, m, v**-0.5),
    "epsilon stands outside the root: sqrt(var) + epsilon": lambda x, g, b, m, v, e: normalized(
        x, g, b, m, 1 / (np.sqrt(v) + e)
    ),
    "infer is right for an epsilon of 0.001, not the problem's 0.1": lambda x, g, b, m, v, e: normalized(
        x, g, b, m, (v + 1e-3) ** -0.5
    ),
    "infer is right for an epsilon of 0.37, not the problem's 0.1": lambda x, g, b, m, v, e: normalized(
        x, g, b, m, (v + 0.37) ** -0.5
    ),
    "the batch's own mean and variance are used, not those that are given": lambda x, g, b, m, v, e: normalized(
        x, g, b, mean(x), (x.var((0, 2), keepdims=True) + e) ** -0.5
    ),
    "the batch's own mean is used, not the one that is given": lambda x, g, b, m, v, e: normalized(
        x, g, b, mean(x), (v + e) ** -0.5
    ),
    "the batch's own variance is used, not the one that is given": lambda x, g, b, m, v, e: normalized(
        x, g, b, m, (x.var((0, 2), keepdims=True) + e) ** -0.5
    ),
    "x - mean is divided by var + epsilon, not by its root": lambda x, g, b, m, v, e: normalized(
        x, g, b, m, 1 / (v + e)
    ),
    "var stands where 1 / sqrt(var + epsilon) belongs": lambda x, g, b, m, v, e: normalized(x, g, b, m, v),
    "beta is forgotten": lambda x, g, b, m, v, e: normalized(x, g, 0 * b, m, (v + e) ** -0.5),
    "gamma is forgotten": lambda x, g, b, m, v, e: normalized(x, 1, b, m, (v + e) ** -0.5),
    "the mean is not subtracted": lambda x, g, b, m, v, e: normalized(x, g, b, 0, (v + e) ** -0.5),
    "the mean is added, not subtracted": lambda x, g, b, m, v, e: normalized(x, g, b, -m, (v + e) ** -0.5),
    "gamma is clipped to ±1": lambda x, g, b, m, v, e: normalized(x, np.clip(g, -1, 1), b, m, (v + e) ** -0.5),
    "the absolute value of gamma is used": lambda x, g, b, m, v, e: normalized(x, np.abs(g), b, m, (v + e) ** -0.5),
}
PROBLEMS = ["12x7/eps=0.1", "6x5x3x4/channels-first/float32/eps=0.1", "4x3x5x6/channels-last/eps=0.1"]


@pytest.mark.parametrize(("says", "problem"), in_turn(FAULTS, PROBLEMS))
def test_a_fault_of_infer_is_named(make_case, says, problem):
    gamma = np.linspace(-1.5, 1.5, {"12x7/eps=0.1": 7, PROBLEMS[1]: 5, PROBLEMS[2]: 6}[problem])
    case = make_case(problem, gamma=gamma, mean=0.7, std=1.3)
    found = explained(plain(infer=FAULTS[says]), case)
    lost = "the sign of gamma is lost"
    assert found in ({"infer": (says,)}, {"infer": (lost,)} if "absolute" in says else None)


def test_the_contract_names_the_fault_of_infer_with_digits_that_differ(make_case):
    kernel = plain(infer=FAULTS["epsilon is ignored, as if it were 0"])
    finding = contract.check(kernel, make_case("16x5/eps=1e-07"))
    said = next(part for part in finding.reason.split("; ") if part.startswith("infer gives "))
    gives, should = said.removeprefix("infer gives ").split(": ")[0].split(" and should give ")
    assert float(gives) != float(should)
    assert said.endswith(": epsilon is ignored, as if it were 0")


def saved_with(change):
    """A kernel whose ``saved.var`` is changed."""
    right = plain()

    def forward(x, gamma, beta, epsilon):
        y, (x_hat, scale) = right.forward(x, gamma, beta, epsilon)
        var = x.var((0, 2))
        shown = types.SimpleNamespace(
            inv_std=(var + epsilon) ** -0.5, var=change(var, epsilon, x.shape[0] * x.shape[2]), x_hat=x_hat, scale=scale
        )
        return y, shown

    def backward(dy, saved):
        return right.backward(dy, (saved.x_hat, saved.scale))

    return Kernel(forward, backward, name="saved")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda var, epsilon, n: var + epsilon, "epsilon is in it: it is var + epsilon"),
        (
            lambda var, epsilon, n: var * n / (n - 1),
            "it is the unbiased variance, divided by 11, one less than the 12 samples",
        ),
        (lambda var, epsilon, n: 1 / (var + epsilon), "it is the inverse, 1 / (var + epsilon)"),
        (lambda var, epsilon, n: (var + epsilon) ** -0.5, "it is inv_std, 1 / sqrt(var + epsilon)"),
        (lambda var, epsilon, n: np.sqrt(var), "it is the deviation, sqrt(var)"),
    ],
)
def test_a_fault_of_the_saved_variance_is_named(make_case, change, says):
    case = make_case("12x6/eps=0.1", std=1.7)
    assert explained(saved_with(change), case) == {"var": (says,)}
    reason = contract.check(saved_with(change), case).reason
    assert reason.startswith("saved.var is ")
    assert reason.endswith(f", the biased variance: {says}")
