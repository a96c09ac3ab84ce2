"""Diagnosis names the fault that was put into dx, and no other."""

import numpy as np
import pytest

from bncli.core.case import generator
from bncli.loading.registry import load_kernel
from in_turn import in_turn
from right_values import DY, FROZEN, MEAN, PROBLEMS, PROD, X_HAT, K, agrees, diagnosed, mean

# What is wrong with dx: its values, the sentences, the factors in them in order.
DX = {
    "dy term missing": (lambda r: r.terms(dy=0), [DY + "is missing"]),
    "mean term missing": (lambda r: r.terms(mean_dy=0), [MEAN + "is missing"]),
    "x_hat term missing": (lambda r: r.terms(x_hat=0), [X_HAT + "is missing"]),
    "frozen": (lambda r: r.terms(mean_dy=0, x_hat=0), [FROZEN]),
    "dy term reversed": (lambda r: r.terms(dy=-1), [DY + "has the wrong sign"]),
    "mean term reversed": (lambda r: r.terms(mean_dy=-1), [MEAN + "has the wrong sign"]),
    "x_hat term reversed": (lambda r: r.terms(x_hat=-1), [X_HAT + "has the wrong sign"]),
    "dx reversed": (lambda r: -r.dx, ["dx has the wrong sign"]),
    "dx doubled": (lambda r: 2 * r.dx, ["dx is 2 times what it should be"]),
    "dx halved": (lambda r: r.dx / 2, ["dx is 0.5 of what it should be"]),
    "x_hat term doubled": (lambda r: r.terms(x_hat=2), [X_HAT + "is 2 times what it should be"]),
    "x_hat term 0.3 % off": (lambda r: r.terms(x_hat=1.003), [X_HAT + "is 1.003 times what it should be"]),
    "mean term 0.3 % off": (lambda r: r.terms(mean_dy=0.997), [MEAN + "is 0.997 of what it should be"]),
    "dy term 0.3 % off": (lambda r: r.terms(dy=1.003), [DY + "is 1.003 times what it should be"]),
    "dx 0.3 % off": (lambda r: 1.003 * r.dx, ["dx is 1.003 times what it should be"]),
    "N - 1": (
        lambda r: r.terms(x_hat=r.samples / (r.samples - 1)),
        [X_HAT + K + ": divided by {fewer}, one less than the {samples} samples that were averaged"],
        lambda r: [r.samples / (r.samples - 1)],
    ),
    "N + 1": (
        lambda r: r.terms(mean_dy=r.samples / (r.samples + 1)),
        [MEAN + K + ": divided by one more than the {samples} samples"],
        lambda r: [r.samples / (r.samples + 1)],
    ),
    "times N - 1 over N": (
        lambda r: r.terms(x_hat=(r.samples - 1) / r.samples),
        [X_HAT + K + ": multiplied by {fewer} / {samples}"],
        lambda r: [(r.samples - 1) / r.samples],
    ),
    "summed": (
        lambda r: r.terms(mean_dy=r.samples, x_hat=r.samples),
        [
            X_HAT + K + ": summed over the {samples} samples, not averaged",
            MEAN + K + ": summed over the {samples} samples, not averaged",
        ],
        lambda r: [r.samples, r.samples],
    ),
    "averaged twice": (
        lambda r: r.terms(mean_dy=1 / r.samples),
        [MEAN + K + ": averaged twice, divided by {samples}, the number of samples, once more"],
        lambda r: [1 / r.samples],
    ),
    "divided by the features": (
        lambda r: r.terms(x_hat=r.samples / r.features),
        [X_HAT + K + f": divided by {PROD}, where {{samples}} samples were averaged"],
        lambda r: [r.samples / r.features],
    ),
    "the published listing": (
        lambda r: r.terms(mean_dy=1 / r.features, x_hat=r.samples / r.features),
        [
            X_HAT + K + f": divided by {PROD}, where {{samples}} samples were averaged",
            MEAN + K + f": averaged, and then divided by {PROD}, once more",
        ],
        lambda r: [r.samples / r.features, 1 / r.features],
    ),
    "and gamma forgotten": (
        lambda r: r.terms(mean_dy=1 / r.features, x_hat=r.samples / r.features) / r.gamma,
        [
            "gamma is forgotten",
            X_HAT + K + f": divided by {PROD}, where {{samples}} samples were averaged",
            MEAN + K + f": averaged, and then divided by {PROD}, once more",
        ],
        lambda r: [r.samples / r.features, 1 / r.features],
    ),
    "dx divided by the samples": (
        lambda r: r.dx / r.samples,
        ["dx " + K + ": divided by {samples}, the number of samples"],
        lambda r: [1 / r.samples],
    ),
    "dx divided by the features": (
        lambda r: r.dx / r.features,
        ["dx " + K + f": divided by {PROD}"],
        lambda r: [1 / r.features],
    ),
    "dx times the samples": (
        lambda r: r.dx * r.samples,
        ["dx " + K + ": multiplied by {samples}, the number of samples"],
        lambda r: [r.samples],
    ),
    "gamma forgotten": (lambda r: r.dx / r.gamma, ["gamma is forgotten"]),
    "gamma squared": (lambda r: r.dx * r.gamma, ["gamma is applied twice"]),
    "gamma divides": (lambda r: r.dx / r.gamma**2, ["gamma divides where it should multiply"]),
    "gamma's sign": (lambda r: r.dx * np.sign(r.gamma), ["the sign of gamma is lost"]),
    "inv_std forgotten": (lambda r: r.dx * r.std, ["inv_std is forgotten"]),
    "inv_std squared": (lambda r: r.dx / r.std, ["inv_std is applied twice"]),
    "times std": (lambda r: r.dx * r.std**2, ["sqrt(var + epsilon) multiplies where it should divide"]),
    "times var": (lambda r: r.dx * r.std**3, ["var + epsilon stands where inv_std belongs"]),
    "no scale": (lambda r: r.dx * r.std / r.gamma, ["gamma and inv_std are forgotten"]),
    "gamma on dy alone": (
        lambda r: r.terms(mean_dy=1 / r.gamma, x_hat=1 / r.gamma),
        ["gamma is forgotten in the x_hat term", "gamma is forgotten in the mean term"],
    ),
    "inv_std not in the mean": (lambda r: r.terms(mean_dy=r.std), ["inv_std is forgotten in the mean term"]),
    "inv_std not in dy": (lambda r: r.terms(dy=r.std), ["inv_std is forgotten in the dy term"]),
    "one x - mean": (
        lambda r: r.terms(x_hat=r.std),
        [X_HAT + "lacks one inv_std, as with x - mean in place of x_hat"],
    ),
    "both x - mean": (
        lambda r: r.terms(x_hat=r.std**2),
        [X_HAT + "lacks inv_std twice, as with x - mean in place of both x_hat"],
    ),
    "inv_std**4": (lambda r: r.terms(x_hat=1 / r.std), [X_HAT + "has inv_std once too often"]),
    "inv_std**5": (lambda r: r.terms(x_hat=1 / r.std**2), [X_HAT + "has inv_std twice too often"]),
    "inv_std**6": (lambda r: r.terms(x_hat=1 / r.std**3), [X_HAT + "has inv_std three times too often"]),
    "x for x_hat": (
        lambda r: r.terms(x_hat=0) - r.gamma / r.std * r.x * mean(r.dy * r.x_hat),
        ["x stands where x_hat belongs in the x_hat term"],
    ),
    "x in the mean": (
        lambda r: r.terms(x_hat=0) - r.gamma / r.std * r.x_hat * mean(r.dy * r.x),
        ["x stands where x_hat belongs in the mean of dy * x_hat"],
    ),
    "x for both": (
        lambda r: r.terms(x_hat=0) - r.gamma / r.std * r.x * mean(r.dy * r.x),
        ["x stands where both x_hat belong in the x_hat term"],
    ),
    "y for x_hat": (
        lambda r: r.terms(x_hat=0) - r.gamma / r.std * r.y * mean(r.dy * r.x_hat),
        ["y stands where x_hat belongs in the x_hat term"],
    ),
    "y for both": (
        lambda r: r.terms(x_hat=0) - r.gamma / r.std * r.y * mean(r.dy * r.y),
        ["y stands where both x_hat belong in the x_hat term"],
    ),
    "swapped means": (
        lambda r: r.gamma / r.std * (r.dy - mean(r.dy * r.x_hat) - r.x_hat * mean(r.dy)),
        ["dgamma and dbeta are swapped in dx: the means of dy and of dy * x_hat stand in each other's place"],
    ),
    "dy": (lambda r: r.dy, ["dx is dy itself, unchanged"]),
    "x": (lambda r: r.x, ["dx is x itself, unchanged"]),
    "zero": (lambda r: 0 * r.dx, ["dx is 0 everywhere"]),
    "absolute": (lambda r: np.abs(r.dx), ["the sign of dx is lost: it is never negative"]),
    "constant added": (lambda r: r.dx + 0.25, ["0.25 is added to dx"]),
    "x added": (lambda r: r.dx + 0.125 * r.x, ["0.125 of x is added to dx"]),
    "x_hat added": (lambda r: r.dx - 0.125 * r.x_hat, ["-0.125 of x_hat is added to dx"]),
    "dy added": (lambda r: r.dx + 0.125 * r.dy, ["0.125 of dy is added to dx"]),
    "leak from before": (
        lambda r: r.dx + 0.01 * np.roll(r.dx, 1, 1),
        ["features leak: 0.01 of dx of the previous feature is added to each"],
    ),
    "leak from after, up to the edge": (
        lambda r: r.dx + 0.01 * np.concatenate([r.dx[:, 1:], 0 * r.dx[:, :1]], 1),
        ["features leak: 0.01 of dx of the next feature is added to each"],
    ),
    "leak from all": (
        lambda r: r.dx - 0.02 * r.dx.mean(1, keepdims=True),
        ["features leak: -0.02 of the mean of dx over all features is added to each"],
    ),
    "samples leak": (
        lambda r: r.dx + 0.05 * np.roll(r.dx, -1, 0),
        ["samples leak: 0.05 of dx of the next sample is added to each"],
    ),
    "neighbours leak": (
        lambda r: r.dx + 0.05 * (np.roll(r.dx, 1, 1) + np.roll(r.dx, -1, 1)),
        ["features leak: 0.05 of dx of both neighbouring features is added to each"],
    ),
    "reversed batch": (lambda r: r.dx[::-1], ["dx has its samples in reverse order"]),
    "reversed features": (lambda r: r.dx[:, ::-1], ["dx has its features in reverse order"]),
    "shuffled": (
        lambda r: generator(1, "probe").permutation(r.dx.ravel()).reshape(r.dx.shape),
        ["the values of dx are right, but in another order"],
    ),
    "transposed": (
        lambda r: r.dx.transpose(1, 0, 2).reshape(r.dx.shape),
        ["the axes of dx are transposed: its values lie in the order (feature, outer, inner)"],
    ),
    "NaN": (lambda r: r.dx * np.nan, ["dx is NaN everywhere"]),
    "infinite": (lambda r: r.dx + np.inf, ["dx is infinite everywhere"]),
}


@pytest.mark.parametrize(("fault", "problem"), in_turn(DX, PROBLEMS))
def test_a_fault_in_dx_is_named(right, fault, problem):
    r = right(problem)
    values, templates, *factors = DX[fault]
    agrees(diagnosed(r.case, "dx", values(r)), templates, factors[0](r) if factors else [], r)


@pytest.mark.parametrize(
    "problem", [*PROBLEMS, "5x4x4x3", "7x7", "5x4", "3x9/float32", "60x9x15x12/channels-first/float32"]
)
def test_the_published_listing_is_found_out(right, problem):
    r = right(problem)
    kernel = load_kernel("numpynet")
    _, saved = kernel.forward(r.case.x, r.case.gamma, r.case.beta, r.epsilon)
    _, templates, factors = DX["the published listing"]
    factors = factors(r)
    if r.samples == r.features:  # then the one mistake hides the other
        templates, factors = templates[1:], factors[1:]
    agrees(diagnosed(r.case, "dx", kernel.backward(r.case.dy, saved)[0]), templates, factors, r)


def test_a_small_mistake_next_to_a_large_one_is_not_taken_for_rounding(right):
    # With 2,000 times the x_hat term, float32 may be off by more than the whole mean term is; but it is not.
    r = right("16x8x32x32/channels-first/float32/eps=1e-05")
    kernel = load_kernel("numpynet")
    _, saved = kernel.forward(r.case.x, r.case.gamma, r.case.beta, r.epsilon)
    _, templates, factors = DX["the published listing"]
    agrees(diagnosed(r.case, "dx", kernel.backward(r.case.dy, saved)[0]), templates, factors(r), r)
    # And where the mean term is right, it is not called wrong.
    agrees(diagnosed(r.case, "dx", r.terms(x_hat=r.samples / r.features)), templates[:1], factors(r)[:1], r)
