"""Diagnosis of a wrong standard deviation, and of a wrong y."""

import numpy as np
import pytest

from in_turn import in_turn
from right_values import PROBLEMS, agrees, diagnosed, mean

STD = {
    "epsilon is ignored, as if it were 0": lambda r, var: np.sqrt(var),
    "the variance is the unbiased one, divided by {fewer}, one less than the {samples} samples": lambda r, var: np.sqrt(
        var * r.samples / (r.samples - 1) + r.epsilon
    ),
    "epsilon stands outside the root: sqrt(var) + epsilon": lambda r, var: np.sqrt(var) + r.epsilon,
    "epsilon stands outside the root: sqrt(var) + sqrt(epsilon)": lambda r, var: np.sqrt(var) + np.sqrt(r.epsilon),
    "x - mean is divided by var + epsilon, not by its root": lambda r, var: var + r.epsilon,
    "x - mean is divided by var, not by sqrt(var + epsilon)": lambda r, var: var,
    "x - mean is not divided by the standard deviation": lambda r, var: var**0,
}


@pytest.mark.parametrize("problem", ["6x4x3/eps=0.05", "9x5x3x4/channels-first/float32/eps=0.05"])
@pytest.mark.parametrize("says", STD)
def test_a_wrong_standard_deviation_is_named(right, says, problem):
    r = right(problem)
    values = r.of_variance(STD[says](r, r.var))
    agrees(diagnosed(r.case, "y", values["y"]), [says], [], r)
    agrees(diagnosed(r.case, "dx", values["dx"]), [says], [], r)
    renamed = {
        "x - mean is divided by var + epsilon, not by its root": "inv_std is applied twice",
        "x - mean is not divided by the standard deviation": (
            "inv_std is forgotten: dgamma is computed from x - mean, not from x_hat"
        ),
    }
    agrees(diagnosed(r.case, "dgamma", values["dgamma"]), [renamed.get(says, says)], [], r)


@pytest.mark.parametrize("says", STD)
def test_the_gradient_of_a_wrong_forward_is_named(right, says):
    r = right("6x4/float32/eps=0.05")  # the derivative is good to 9 digits

    def forward(x):
        centred = x - mean(x)
        return r.gamma * centred / STD[says](r, mean(centred**2))

    agrees(diagnosed(r.case, "dx", r.gradient(forward)), [says], [], r)


@pytest.mark.parametrize(("epsilon", "problem"), in_turn([0.003, 0.5, 1.0, 0.0731], PROBLEMS))
def test_another_epsilon_is_found(right, epsilon, problem):
    r = right(problem)
    for array, values in r.of_variance(np.sqrt(r.var + epsilon)).items():
        said = f"{array} is right for an epsilon of {epsilon:.3g}, not the problem's {r.epsilon:.3g}"
        assert diagnosed(r.case, array, values) == (said,)


@pytest.mark.parametrize("epsilon", [*(10.0**-n for n in (3, 4, 5, 6, 7, 8, 10, 12)), 0.1**2, 0.1**0.5])
def test_a_hard_coded_epsilon_or_its_square_or_root_is_found_even_by_one_feature(right, epsilon):
    r = right("9x1/eps=0.1", std=1e-5)
    for array, values in r.of_variance(np.sqrt(r.var + epsilon)).items():
        assert diagnosed(r.case, array, values) == (
            f"{array} is right for an epsilon of {epsilon:.3g}, not the problem's 0.1",
        )


# What is wrong with y.
Y = {
    "unchanged": (lambda r: r.x, ["y is x itself, unchanged"]),
    "not normalized": (lambda r: r.gamma * r.x + r.beta, ["x is not normalized: y is gamma * x + beta"]),
    "fresh running statistics": (
        lambda r: r.gamma * r.x / np.sqrt(1 + r.epsilon) + r.beta,
        ["x is normalized with mean 0 and variance 1, as by running statistics that were never updated"],
    ),
    "the seed's formula": (
        lambda r: r.gamma * r.centred**2 / r.std + r.beta,
        ["x - mean is squared in the numerator of x_hat"],
    ),
    "squared": (lambda r: r.gamma * r.x_hat**2 + r.beta, ["x_hat is squared"]),
    "size": (
        lambda r: r.gamma * np.abs(r.x_hat) + r.beta,
        ["the absolute value of x_hat is used"],
    ),
    "mean kept": (lambda r: r.gamma * r.x / r.std + r.beta, ["the mean is not subtracted"]),
    "mean added": (lambda r: r.gamma * (r.x + r.mean) / r.std + r.beta, ["the mean is added, not subtracted"]),
    "times std": (
        lambda r: r.gamma * r.centred * r.std + r.beta,
        ["x - mean is multiplied by the standard deviation, not divided"],
    ),
    "beta forgotten": (lambda r: r.y - r.beta, ["beta is forgotten"]),
    "beta subtracted": (lambda r: r.y - 2 * r.beta, ["beta is subtracted, not added"]),
    "beta twice": (lambda r: r.y + r.beta, ["beta is added twice"]),
    "beta inside": (lambda r: r.gamma * (r.x_hat + r.beta), ["beta is multiplied by gamma"]),
    "beta 1.3 times": (lambda r: r.y + 0.3 * r.beta, ["beta is 1.3 times what it should be"]),
    "gamma forgotten": (lambda r: r.x_hat + r.beta, ["gamma is forgotten"]),
    "gamma twice": (lambda r: r.gamma**2 * r.x_hat + r.beta, ["gamma is applied twice"]),
    "gamma divides": (lambda r: r.x_hat / r.gamma + r.beta, ["gamma divides where it should multiply"]),
    "gamma's sign": (lambda r: np.abs(r.gamma) * r.x_hat + r.beta, ["the sign of gamma is lost"]),
    "gamma for beta": (lambda r: r.gamma * r.x_hat + r.gamma, ["gamma stands where beta belongs"]),
    "beta for gamma": (lambda r: r.beta * r.x_hat + r.beta, ["beta stands where gamma belongs"]),
    "swapped": (lambda r: r.beta * r.x_hat + r.gamma, ["gamma and beta are swapped"]),
    "x_hat": (lambda r: r.x_hat, ["gamma and beta are forgotten: y is x_hat"]),
    "beta alone": (lambda r: r.beta + 0 * r.x, ["gamma * x_hat is 0 up to rounding: y is beta"]),
    "reversed": (lambda r: r.beta - r.gamma * r.x_hat, ["gamma * x_hat has the wrong sign"]),
    "slope": (lambda r: r.y + 0.3 * r.gamma * r.x_hat, ["gamma * x_hat is 1.3 times what it should be"]),
    "offset": (lambda r: r.y + 0.3, ["0.3 is added to y"]),
    "affine": (
        lambda r: 1.1 * r.gamma * r.x_hat + r.beta - 0.25,
        ["-0.25 is added to y", "gamma * x_hat is 1.1 times what it should be"],
    ),
    "unbiased and without beta": (
        lambda r: r.gamma * r.centred / np.sqrt(r.var * r.samples / (r.samples - 1) + r.epsilon),
        [
            "beta is forgotten",
            "the variance is the unbiased one, divided by {fewer}, one less than the {samples} samples",
        ],
    ),
    "zero": (lambda r: 0 * r.y, ["y is 0 everywhere"]),
    "reversed batch": (lambda r: r.y[::-1], ["y has its samples in reverse order"]),
    "shifted features": (lambda r: np.roll(r.y, 1, 1), None),
    "leak": (
        lambda r: r.y + 0.01 * np.roll(r.y, 1, 1),
        ["features leak: 0.01 of y of the previous feature is added to each"],
    ),
}


@pytest.mark.parametrize(("fault", "problem"), in_turn(Y, PROBLEMS))
def test_a_fault_in_y_is_named(right, fault, problem):
    r = right(problem)
    values, templates = Y[fault]
    if templates is None:
        (sentence,) = diagnosed(r.case, "y", values(r))
        assert sentence.startswith("y is shifted along the features: feature ")
    else:
        agrees(diagnosed(r.case, "y", values(r)), templates, [], r)
