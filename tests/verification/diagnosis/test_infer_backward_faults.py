"""The faults of the backward of inference are named, by values and by slopes of infer."""

import dataclasses

import numpy as np
import pytest

from bncli.core.kernel import Kernel
from bncli.verification import gradients
from bncli.verification.finding import Verdict
from in_turn import in_turn
from plain_kernel import explained, mean, plain, total

DX, DGAMMA, DBETA = "dx of inference", "dgamma of inference", "dbeta of inference"
CONSTANTS = "in inference the given mean and variance are constants"


def plain_with_backward(**changed):
    """``changed`` are formulas of dx, dgamma and dbeta; those that are not given are right."""
    right = plain()

    def infer_forward(x, gamma, beta, mean, var, epsilon):
        arrays = (array.astype(np.float64)[:, None] for array in (gamma, mean, var))
        return right.infer(x, gamma, beta, mean, var, epsilon), (x.astype(np.float64), *arrays, epsilon, gamma)

    def infer_backward(dy, saved):
        x, g, m, v, e, gamma = saved
        formulas = {**RIGHT, **changed}
        found = (formula(x, dy.astype(np.float64), g, m, v, e) for formula in formulas.values())
        dx, *rest = (np.asarray(array) for array in found)
        return dx.astype(dy.dtype), *(array.reshape(-1).astype(gamma.dtype) for array in rest)

    return dataclasses.replace(right, infer_forward=infer_forward, infer_backward=infer_backward)


RIGHT = {
    "dx": lambda x, dy, g, m, v, e: g * (v + e) ** -0.5 * dy,
    "dgamma": lambda x, dy, g, m, v, e: total(dy * (x - m) * (v + e) ** -0.5),
    "dbeta": lambda x, dy, g, m, v, e: total(dy),
}


def of_training(x, dy, g, m, v, e):
    x_hat = (x - m) * (v + e) ** -0.5
    return g * (v + e) ** -0.5 * (dy - mean(dy) - x_hat * mean(dy * x_hat))


def of_batch(x, e):
    return mean(x), mean((x - mean(x)) ** 2), e


FAULTS = {
    f"it is dx of training, through the batch's own mean and variance: {CONSTANTS}": {
        "dx": lambda x, dy, g, m, v, e: of_training(x, dy, g, *of_batch(x, e))
    },
    f"mean(dy) and the x_hat term are subtracted, as in training: {CONSTANTS}": {"dx": of_training},
    f"mean(dy) is subtracted, as in training: {CONSTANTS}": {
        "dx": lambda x, dy, g, m, v, e: RIGHT["dx"](x, dy - mean(dy), g, m, v, e)
    },
    "the batch's own variance is used, not the one that is given": {
        "dx": lambda x, dy, g, m, v, e: RIGHT["dx"](x, dy, g, *of_batch(x, e))
    },
    "it is dy itself, unchanged": {"dx": lambda x, dy, g, m, v, e: dy},
    "inv_std is forgotten": {"dx": lambda x, dy, g, m, v, e: g * dy},
    "inv_std is applied twice": {"dx": lambda x, dy, g, m, v, e: g * dy / (v + e)},
    "gamma is forgotten": {"dx": lambda x, dy, g, m, v, e: RIGHT["dx"](x, dy, 1, m, v, e)},
    "epsilon is ignored, as if it were 0": {"dx": lambda x, dy, g, m, v, e: RIGHT["dx"](x, dy, g, m, v, 0)},
    "dx of inference is 0 everywhere": {"dx": lambda x, dy, g, m, v, e: 0 * dy},
    "dgamma of inference is 0 everywhere": {"dgamma": lambda x, dy, g, m, v, e: 0 * v},
    "x_hat is that of the batch's own mean and variance, not of those that are given": {
        "dgamma": lambda x, dy, g, m, v, e: RIGHT["dgamma"](x, dy, g, *of_batch(x, e))
    },
    "the batch's own mean is used, not the one that is given": {
        "dgamma": lambda x, dy, g, m, v, e: RIGHT["dgamma"](x, dy, g, mean(x), v, e)
    },
    "inv_std is forgotten: dgamma is computed from x - mean, not from x_hat": {
        "dgamma": lambda x, dy, g, m, v, e: total(dy * (x - m))
    },
    "the mean is not subtracted from x": {"dgamma": lambda x, dy, g, m, v, e: RIGHT["dgamma"](x, dy, g, 0, v, e)},
    "it is the sum of dy, not of dy * x_hat": {"dgamma": lambda x, dy, g, m, v, e: total(dy)},
    "dgamma is multiplied by gamma": {"dgamma": lambda x, dy, g, m, v, e: RIGHT["dgamma"](x, dy, g, m, v, e) * g[:, 0]},
    "it is the sum of dy * x_hat, not of dy": {"dbeta": RIGHT["dgamma"]},
    "dbeta of inference has the wrong sign": {"dbeta": lambda x, dy, g, m, v, e: -total(dy)},
}
PROBLEMS = ["12x7/eps=0.1", "6x5x3x4/channels-first/float32/eps=0.1", "4x3x5x6/channels-last/eps=0.1"]


@pytest.mark.parametrize(("says", "problem"), in_turn(FAULTS, PROBLEMS))
def test_a_fault_of_the_backward_of_inference_is_named(make_case, says, problem):
    kernel = plain_with_backward(**FAULTS[says])
    name = f"{next(iter(FAULTS[says]))} of inference"
    case = make_case(problem, mean=0.7, std=1.3)
    assert explained(kernel, case) == {name: (says,)}
    found = {(each.array, each.method): each.verdict for each in gradients.check(kernel, case)}
    judged = {key: verdict for key, verdict in found.items() if key[0] in ("infer", DX, DGAMMA, DBETA)}
    assert len(judged) == (7 if case.problem.dtype == "float64" else 4)
    assert {key[0] for key, verdict in judged.items() if verdict is Verdict.WRONG} == {name}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_right_backward_of_inference_passes(make_case, problem):
    found = gradients.check(plain_with_backward(), make_case(problem))
    assert {each.verdict for each in found} == {Verdict.PASS}
    assert {DX, DGAMMA, DBETA, "infer"} < {each.array for each in found}


def test_a_right_gradient_of_a_wrong_infer_is_not_its_derivative(make_case):
    right = plain_with_backward()

    def infer(x, gamma, beta, mean, var, epsilon):
        return right.infer(x, gamma, beta, mean, 2 * var, epsilon)

    found = gradients.check(dataclasses.replace(right, infer=infer), make_case("12x7/eps=0.1"))
    wrong = {(each.array, each.method) for each in found if each.verdict is Verdict.WRONG}
    assert wrong == {("infer", "reference"), (DX, "central"), (DGAMMA, "central"), ("contract", "17 checks")}


def test_without_a_backward_of_inference_there_are_no_such_rows(make_case):
    right = plain()
    found = gradients.check(Kernel(right.forward, right.backward, right.infer, name="plain"), make_case("12x7"))
    assert not {each.array for each in found} & {DX, DGAMMA, DBETA, "infer"}
