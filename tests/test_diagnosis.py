"""Diagnosis names the fault that was put in, and no other; where there is none that it knows, it says so.

Every fault is computed here from the definitions, in the widest type and without the package's formulas.
"""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncli.core.case import generator
from bncli.core.problem import Problem
from bncli.loading.registry import load_kernel
from bncli.verification import gradients as gradcheck
from bncli.verification import tolerance
from bncli.verification._diagnosis.evidence import gather
from bncli.verification._diagnosis.wording import number, ratio
from bncli.verification.diagnosis import diagnose
from bncli.verification.explanation import explain

SAMPLES = (0, 2)
PROBLEMS = [
    "6x4x3/eps=0.01",
    "12x7/float32/eps=0.1",
    "6x5x3x4/channels-first/float32/eps=0.01",
    "8x3x2x5/channels-first/eps=0.001",
    "4x3x5x6/channels-last/eps=1e-05",
    "3x5x4x7/channels-last/float32/eps=0.02",
]


def mean(array):
    return array.mean(SAMPLES, keepdims=True)


class Right:
    """A case's right values; (N, F, S), and (1, F, 1) what belongs to a feature."""

    def __init__(self, case):
        wide = {name: getattr(case, name).astype(np.longdouble) for name in ("x", "dy", "gamma", "beta")}
        self.case, self.problem = case, case.problem
        self.x, self.dy = wide["x"], wide["dy"]
        self.gamma, self.beta = wide["gamma"].reshape(1, -1, 1), wide["beta"].reshape(1, -1, 1)
        self.epsilon = case.problem.epsilon
        self.mean = mean(self.x)
        self.centred = self.x - self.mean
        self.var = mean(self.centred**2)
        self.std = np.sqrt(self.var + self.epsilon)
        self.x_hat = self.centred / self.std
        self.y = self.gamma * self.x_hat + self.beta
        self.samples, self.batch = case.x.shape[0] * case.x.shape[2], case.problem.shape[0]
        self.spatial, self.features = self.samples // self.batch, case.x.shape[1]
        self.dx = self.terms()

    def terms(self, dy=1, mean_dy=1, x_hat=1):
        slope = self.x_hat * mean(self.dy * self.x_hat)
        return self.gamma / self.std * (dy * self.dy - mean_dy * mean(self.dy) - x_hat * slope)

    def total(self, array):
        return array.sum(SAMPLES, keepdims=True)

    @property
    def dgamma(self):
        return self.total(self.dy * self.x_hat)

    @property
    def dbeta(self):
        return self.total(self.dy)

    def of_variance(self, std):
        """y and dgamma with another standard deviation, and dx by the formula with that."""
        x_hat = self.centred / std
        dx = self.gamma / std * (self.dy - mean(self.dy) - x_hat * mean(self.dy * x_hat))
        return {"y": self.gamma * x_hat + self.beta, "dx": dx, "dgamma": self.total(self.dy * x_hat)}

    def gradient(self, function, h=1e-7):
        """The derivative of sum(dy * function(x)) in x, numerically, for a function within each feature."""
        dx = np.zeros_like(self.x)
        for at in np.ndindex(self.x.shape[0], self.x.shape[2]):
            step = np.zeros_like(self.x)
            step[at[0], :, at[1]] = h
            change = self.dy * (function(self.x + step) - function(self.x - step)) / (2 * h)
            dx[at[0], :, at[1]] = change.sum(SAMPLES)
        return dx


def told(case, array, values):
    """What is said of an array that holds ``values``, rounded to the case's dtype."""
    values = np.asarray(values).astype(case.problem.dtype)
    return diagnose(case, {array: values.reshape(-1) if array in ("dgamma", "dbeta") else values}, [array])[array]


@pytest.fixture(scope="session")
def right(make_case):
    """right("6x4", seed=1, mean=0.5) -> the right values of a case whose gamma has both signs."""

    def make(descriptor, seed=0, **options):
        features = Problem.parse(descriptor).features
        gamma = generator(seed, "gamma").uniform(0.5, 1.5, features) * np.where(np.arange(features) % 2, -1, 1)
        return Right(make_case(descriptor, seed=seed, **{"gamma": gamma, **options}))

    return make


X_HAT, MEAN, DY = "the x_hat term ", "the mean term ", "the dy term "
FROZEN = "the statistics are treated as constants (frozen), as in inference: the mean and x_hat terms are missing"
PROD = "{features}, the number of features (1 / prod(mean.shape))"
K = "is {k} what it should be"  # {k} is compared with the factor, not letter by letter

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


def agrees(sentences, templates, factors, r):
    """Are these the ``templates``, with the counts of the case, and numbers that round the ``factors``?"""
    counts = {
        "samples": f"{r.samples:,}", "fewer": f"{r.samples - 1:,}", "features": f"{r.features:,}",
        "batch": f"{r.batch:,}", "spatial": f"{r.spatial:,}", "k": "@",
    }  # fmt: skip
    wanted = [template.format(**counts) for template in templates]
    pattern = [re.escape(each).replace("@", "([-0-9.e,]+) (?:of|times)") for each in wanted]
    assert len(sentences) == len(pattern), sentences
    found = []
    for sentence, each in zip(sentences, pattern, strict=True):
        match = re.fullmatch(each, sentence)
        assert match, f"{sentence!r} is not {each!r}"
        found += match.groups()
    for written, factor in zip(found, factors, strict=True):
        assert rounds(written, factor)


def rounds(written, value):
    """Is ``written`` the ``value`` to its last digit, with three that tell it from 0 and from 1?"""
    plain = written.replace(",", "").partition("e")[0]
    unit = 10.0 ** -len(plain.partition(".")[2]) * 10 ** int(written.partition("e")[2] or 0)
    close = abs(float(written.replace(",", "")) - float(value)) <= 0.51 * unit
    return close and (unit <= 0.06 * abs(float(value) - 1) or float(written) == float(value))


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("fault", DX)
def test_a_fault_in_dx_is_named(right, fault, problem):
    r = right(problem)
    values, templates, *factors = DX[fault]
    agrees(told(r.case, "dx", values(r)), templates, factors[0](r) if factors else [], r)


# What a term of dx may be multiplied by; " in" is followed by the term.
OF_A_TERM = {
    "is missing": lambda r: 0,
    "has the wrong sign": lambda r: -1,
    "is 2 times what it should be": lambda r: 2,
    "is 0.5 of what it should be": lambda r: 0.5,
    "gamma is forgotten in": lambda r: 1 / r.gamma,
    "gamma is applied twice in": lambda r: r.gamma,
    "gamma divides where it should multiply in": lambda r: 1 / r.gamma**2,
    "the sign of gamma is lost in": lambda r: np.sign(r.gamma),
}
OF_DY = {
    K + ": divided by {samples}, the number of samples": lambda r: 1 / r.samples,
    K + ": divided by {batch}, the batch size": lambda r: 1 / r.batch,
    K + ": divided by {spatial}, the positions of one item": lambda r: 1 / r.spatial,
    K + f": divided by {PROD}": lambda r: 1 / r.features,
    K + ": multiplied by {samples}, the number of samples": lambda r: r.samples,
}
OF_A_MEAN = {
    K + ": divided by {fewer}, one less than the {samples} samples that were averaged": (
        lambda r: r.samples / (r.samples - 1)
    ),
    K + ": summed over the {samples} samples, not averaged": lambda r: r.samples,
    K + f": divided by {PROD}, where {{samples}} samples were averaged": lambda r: r.samples / r.features,
    K + f": averaged, and then divided by {PROD}, once more": lambda r: 1 / r.features,
    K + ": averaged twice, divided by {samples}, the number of samples, once more": lambda r: 1 / r.samples,
    K + ": divided by {batch}, the batch size alone, where {samples} samples were averaged": lambda r: r.spatial,
    K + ": divided by {spatial}, the positions of one item alone, where {samples} samples were averaged": (
        lambda r: r.batch
    ),
    K + ": averaged, and then divided by {batch}, the batch size, once more": lambda r: 1 / r.batch,
    K + ": averaged, and then divided by {spatial}, the positions of one item, once more": lambda r: 1 / r.spatial,
    K + ": divided by one more than the {samples} samples": lambda r: r.samples / (r.samples + 1),
    K + ": multiplied by {fewer} / {samples}": lambda r: (r.samples - 1) / r.samples,
}
OF_SCALE = {
    "inv_std is forgotten in": lambda r: r.std,
    "inv_std is applied twice in": lambda r: 1 / r.std,
    "sqrt(var + epsilon) multiplies where it should divide in": lambda r: r.std**2,
    "var + epsilon stands where inv_std belongs in": lambda r: r.std**3,
    "gamma and inv_std are forgotten in": lambda r: r.std / r.gamma,
}
TERMS = {
    "dy": (DY, OF_A_TERM | OF_DY | OF_SCALE),
    "mean_dy": (MEAN, OF_A_TERM | OF_A_MEAN | OF_SCALE),
    "x_hat": (X_HAT, OF_A_TERM | OF_A_MEAN),
}


@pytest.mark.parametrize("problem", ["8x3x2x5/channels-first/eps=0.001", "5x3x4x7/channels-last/float32/eps=0.3"])
@pytest.mark.parametrize("term", TERMS)
def test_whatever_a_term_may_be_multiplied_by_is_named(right, term, problem):
    r = right(problem, seed=3)
    name, factors = TERMS[term]
    for says, factor in factors.items():
        value = factor(r)
        template = f"{says} {name.strip()}" if says.endswith(" in") else name + says
        agrees(told(r.case, "dx", r.terms(**{term: value})), [template], [value] * template.count("{k}"), r)


def test_terms_that_cancel_are_allowed_their_own_rounding(right):
    # Of 4 samples little is left of dx, but its terms are rounded when they are 400 times as large.
    for seed in range(100):
        r = right("4x9/eps=0.001", seed=seed, mean=30.0, std=20.0)
        assert told(r.case, "dx", r.dx * r.std**2) == ("sqrt(var + epsilon) multiplies where it should divide",)


SPATIAL = [problem for problem in PROBLEMS if problem.count("x") > 1 and "channels" in problem]


@pytest.mark.parametrize("problem", SPATIAL)
@pytest.mark.parametrize("over", ["batch", "spatial"])
@pytest.mark.parametrize("once_more", [False, True])
def test_a_count_of_one_axis_alone_is_named(right, problem, over, once_more):
    r = right(problem)
    count = {"batch": r.batch, "spatial": r.spatial}[over]
    factor = 1 / count if once_more else r.samples / count
    name = {"batch": "{batch}, the batch size", "spatial": "{spatial}, the positions of one item"}[over]
    reason = f": divided by {name} alone, where {{samples}} samples were averaged"
    if once_more:
        reason = f": averaged, and then divided by {name}, once more"
    agrees(told(r.case, "dx", r.terms(mean_dy=factor)), [MEAN + K + reason], [factor], r)
    agrees(told(r.case, "dx", r.dx / count), ["dx " + K + f": divided by {name}"], [1 / count], r)


AXES = {  # of channels-first (N, F, S)
    "the batch alone, separately for each position": (0,),
    "the positions of each item separately, as in instance normalization": (2,),
    "the features at each position, as in layer normalization": (1,),
    "the features of each item, as in layer normalization": (1, 2),
    "everything, features too": (0, 1, 2),
}


@pytest.mark.parametrize(("over", "axes"), AXES.items())
def test_statistics_over_the_wrong_axes_are_named(right, over, axes):
    r = right("8x3x2x5/channels-first/eps=0.001")
    average = {"axis": axes, "keepdims": True}
    centred = r.x - r.x.mean(**average)
    std = np.sqrt((centred**2).mean(**average) + r.epsilon)
    x_hat = centred / std
    assert told(r.case, "y", r.gamma * x_hat + r.beta) == (f"the statistics are taken over {over}",)
    # The right statistics, but one or both means of dx over these axes, or sums over them divided by all samples.
    share = np.prod([r.x.shape[axis] for axis in axes]) / r.samples
    for part, kind in ((1.0, "taken"), (share, "summed")):
        dy, dy_x_hat = part * r.dy.mean(**average), part * (r.dy * r.x_hat).mean(**average)
        for means, of_dy, of_dy_x_hat in (
            ("means in dx are", dy, dy_x_hat),
            ("mean of dy is", dy, mean(r.dy * r.x_hat)),
            ("mean of dy * x_hat is", mean(r.dy), dy_x_hat),
        ):
            says = f"the {means} {kind} over {over}" + ", but divided by all 80 samples" * (kind == "summed")
            if kind == "taken" or axes in ((0,), (2,)):
                dx = r.gamma / r.std * (r.dy - of_dy - r.x_hat * of_dy_x_hat)
                assert told(r.case, "dx", dx) == (says,)
    # The gradient of normalization over these axes.
    dx_hat = r.dy * r.gamma
    dx = (dx_hat - dx_hat.mean(**average) - x_hat * (dx_hat * x_hat).mean(**average)) / std
    assert told(r.case, "dx", dx) == (f"dx is the gradient with statistics taken over {over}",)


@pytest.mark.parametrize("problem", ["8x3x2x5/channels-first", "4x3x5x6/channels-last"])
def test_a_misread_layout_is_named(right, problem):
    r = right(problem)
    n, features, inner = r.x.shape
    # The very memory, with the features on the other of its last two axes.
    own = (r.batch, inner, features) if inner > 1 else (r.batch, features, n // r.batch)
    axes, per_feature = ((0, 1), (1, 1, -1)) if inner > 1 else ((0, 2), (1, -1, 1))
    x = np.ascontiguousarray(r.x).reshape(own)
    centred = x - x.mean(axes, keepdims=True)
    x_hat = centred / np.sqrt((centred**2).mean(axes, keepdims=True) + r.epsilon)
    y = (r.gamma.reshape(per_feature) * x_hat + r.beta.reshape(per_feature)).reshape(r.x.shape)
    assert told(r.case, "y", y) == ("the features are read along the wrong axis of the memory",)


# Samples (batch, position) that a part takes, from the two and the sample's number and how many there are.
PARTS = {
    "the first item of the batch alone": lambda b, s, n, r: b == 0,
    "the last item of the batch alone": lambda b, s, n, r: b == r.batch - 1,
    "all items of the batch but the first": lambda b, s, n, r: b > 0,
    "all items of the batch but the last": lambda b, s, n, r: b < r.batch - 1,
    "the first position of each item alone": lambda b, s, n, r: s == 0,
    "all samples but the first": lambda b, s, n, r: n > 0,
    "all samples but the last": lambda b, s, n, r: n < r.samples - 1,
    "whole vectors of 4 samples, without the remainder": lambda b, s, n, r: n < r.samples - r.samples % 4,
    "whole vectors of 8 samples, without the remainder": lambda b, s, n, r: n < r.samples - r.samples % 8,
    "whole vectors of 16 samples, without the remainder": lambda b, s, n, r: n < r.samples - r.samples % 16,
    "whole vectors of 32 samples, without the remainder": lambda b, s, n, r: n < r.samples - r.samples % 32,
}


@pytest.mark.parametrize("problem", ["7x3x3x3/channels-first/eps=0.01", "7x3x3x3/channels-last/float32/eps=0.01"])
@pytest.mark.parametrize("part", PARTS)
def test_samples_that_are_left_out_are_named(right, part, problem):
    r = right(problem)  # 63 samples, which leave another remainder for each width
    numbers = np.arange(r.samples)
    taken = PARTS[part](numbers // r.spatial, numbers % r.spatial, numbers, r)
    taken = taken.reshape(r.x.shape[0], 1, r.x.shape[2])

    def some(array):
        return (array * taken).sum(SAMPLES, keepdims=True)

    assert told(r.case, "dgamma", some(r.dy * r.x_hat)) == (f"dgamma sums {part}",)
    assert told(r.case, "dbeta", some(r.dy)) == (f"dbeta sums {part}",)
    sums = some(r.dy), some(r.dy * r.x_hat)
    for kind, count in (("sums", r.samples), ("means", taken.sum())):
        dx = r.gamma / r.std * (r.dy - sums[0] / count - r.x_hat * sums[1] / count)
        assert told(r.case, "dx", dx) == (f"the {kind} of dy and of dy * x_hat in dx are those of {part}",)
    centred = r.x - some(r.x) / taken.sum()
    std = np.sqrt(some(centred**2) / taken.sum() + r.epsilon)
    x_hat = centred / std
    assert told(r.case, "y", r.gamma * x_hat + r.beta) == (f"the statistics are those of {part}",)
    dx = r.gamma / std * (r.dy - mean(r.dy) - x_hat * mean(r.dy * x_hat))
    assert told(r.case, "dx", dx) == (f"the statistics in dx are those of {part}",)
    assert told(r.case, "dgamma", r.total(r.dy * x_hat)) == (f"the statistics in dgamma are those of {part}",)


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
    agrees(told(r.case, "y", values["y"]), [says], [], r)
    agrees(told(r.case, "dx", values["dx"]), [says], [], r)
    renamed = {
        "x - mean is divided by var + epsilon, not by its root": "inv_std is applied twice",
        "x - mean is not divided by the standard deviation": (
            "inv_std is forgotten: dgamma is computed from x - mean, not from x_hat"
        ),
    }
    agrees(told(r.case, "dgamma", values["dgamma"]), [renamed.get(says, says)], [], r)


@pytest.mark.parametrize("says", STD)
def test_the_gradient_of_a_wrong_forward_is_named(right, says):
    r = right("6x4/float32/eps=0.05")  # the derivative is good to 9 digits

    def forward(x):
        centred = x - mean(x)
        return r.gamma * centred / STD[says](r, mean(centred**2))

    agrees(told(r.case, "dx", r.gradient(forward)), [says], [], r)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("epsilon", [0.003, 0.5, 1.0, 0.0731])
def test_another_epsilon_is_found(right, problem, epsilon):
    r = right(problem)
    for array, values in r.of_variance(np.sqrt(r.var + epsilon)).items():
        said = f"{array} is right for an epsilon of {epsilon:.3g}, not the problem's {r.epsilon:.3g}"
        assert told(r.case, array, values) == (said,)


@pytest.mark.parametrize("epsilon", [*(10.0**-n for n in (3, 4, 5, 6, 7, 8, 10, 12)), 0.1**2, 0.1**0.5])
def test_a_hard_coded_epsilon_or_its_square_or_root_is_found_even_by_one_feature(right, epsilon):
    r = right("9x1/eps=0.1", std=1e-5)
    for array, values in r.of_variance(np.sqrt(r.var + epsilon)).items():
        assert told(r.case, array, values) == (
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
    "beta alone": (lambda r: r.beta + 0 * r.x, ["gamma * x_hat is missing"]),
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


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("fault", Y)
def test_a_fault_in_y_is_named(right, fault, problem):
    r = right(problem)
    values, templates = Y[fault]
    if templates is None:
        (sentence,) = told(r.case, "y", values(r))
        assert sentence.startswith("y is shifted along the features: feature ")
    else:
        agrees(told(r.case, "y", values(r)), templates, [], r)


# What is wrong with dgamma and dbeta.
PARAMETERS = {
    "averaged": ("both", lambda r, right: right / r.samples, K + ": averaged over the {samples} samples, not summed"),
    "by the features": ("both", lambda r, right: right / r.features, K + f": divided by {PROD}"),
    "times the samples": (
        "both",
        lambda r, right: right * r.samples,
        K + ": multiplied by {samples}, the number of samples",
    ),
    "reversed": ("both", lambda r, right: -right, "has the wrong sign"),
    "doubled": ("both", lambda r, right: 2 * right, "is 2 times what it should be"),
    "halved": ("both", lambda r, right: right / 2, "is 0.5 of what it should be"),
    "0.3 % off": ("both", lambda r, right: 0.997 * right, "is 0.997 of what it should be"),
    "zero": ("both", lambda r, right: 0 * right, "is 0 everywhere"),
    "nearly zero": ("both", lambda r, right: 1e-30 * right, "is 0 up to rounding"),
    "times gamma": ("both", lambda r, right: right * r.gamma, "is multiplied by gamma"),
    "times scale": ("both", lambda r, right: right * r.gamma / r.std, "is multiplied by gamma * inv_std"),
    "over all features": ("both", lambda r, right: right.sum() + 0 * right, "sums over the features too"),
    "shifted": ("both", lambda r, right: np.roll(right, 1), None),
    "added": ("both", lambda r, right: right + 1.5, "1.5 is added to "),
    "dbeta for dgamma": ("dgamma", lambda r, _: r.dbeta, "is dbeta: the sum of dy, not of dy * x_hat"),
    "dgamma for dbeta": ("dbeta", lambda r, _: r.dgamma, "is dgamma: the sum of dy * x_hat, not of dy"),
    "from x": ("dgamma", lambda r, _: r.total(r.dy * r.x), "is computed from x, not from x_hat"),
    "from y": ("dgamma", lambda r, _: r.total(r.dy * r.y), "is computed from y, not from x_hat"),
    "over gamma": ("dgamma", lambda r, right: right / r.gamma, "is divided by gamma"),
    "from x - mean": (
        "dgamma",
        lambda r, right: right * r.std,
        "inv_std is forgotten: dgamma is computed from x - mean, not from x_hat",
    ),
    "inv_std twice": ("dgamma", lambda r, right: right / r.std, "inv_std is applied twice"),
    "times beta": ("dbeta", lambda r, right: right * r.beta, "is multiplied by beta"),
    "times inv_std": ("dbeta", lambda r, right: right / r.std, "is multiplied by inv_std"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("fault", PARAMETERS)
def test_a_fault_in_dgamma_and_dbeta_is_named(right, fault, problem):
    r = right(problem)
    arrays, wrong, says = PARAMETERS[fault]
    for array in ("dgamma", "dbeta") if arrays == "both" else (arrays,):
        value = wrong(r, getattr(r, array))
        sentences = told(r.case, array, value)
        if says is None:
            assert sentences[0].startswith(f"{array} is shifted along the features: feature ")
        else:
            alone = says.startswith("inv_std")
            template = says if alone else f"{says}{array}" if says.endswith(" ") else f"{array} {says}"
            agrees(sentences, [template], [np.median(value / getattr(r, array))] * template.count("{k}"), r)


@pytest.mark.parametrize("problem", SPATIAL)
@pytest.mark.parametrize(
    ("count", "says"), [("batch", "{batch}, the batch size"), ("spatial", "{spatial}, the positions of one item")]
)
def test_dgamma_divided_by_one_axis_is_named(right, problem, count, says):
    r = right(problem)
    divisor = getattr(r, count)
    for array in ("dgamma", "dbeta"):
        template = f"{array} {K}: divided by {says}"
        agrees(told(r.case, array, getattr(r, array) / divisor), [template], [1 / divisor], r)


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
    agrees(told(r.case, "dx", kernel.backward(r.case.dy, saved)[0]), templates, factors, r)


def test_one_number_is_told_of_one_number(right):
    r = right("9x1/eps=0.01")
    for name in ("dgamma", "dbeta"):
        (sentence,) = told(r.case, name, 1.3 * getattr(r, name))
        assert sentence == f"{name} is 1.3 times what it should be"


def test_a_small_mistake_beside_a_large_one_is_not_taken_for_rounding(right):
    # With 2,000 times the x_hat term, float32 may be off by more than the whole mean term is; but it is not.
    r = right("16x8x32x32/channels-first/float32/eps=1e-05")
    kernel = load_kernel("numpynet")
    _, saved = kernel.forward(r.case.x, r.case.gamma, r.case.beta, r.epsilon)
    _, templates, factors = DX["the published listing"]
    agrees(told(r.case, "dx", kernel.backward(r.case.dy, saved)[0]), templates, factors(r), r)
    # And where the mean term is right, it is not called wrong.
    agrees(told(r.case, "dx", r.terms(x_hat=r.samples / r.features)), templates[:1], factors(r)[:1], r)


def test_the_published_listing_in_full(make_case):
    case = make_case("5x4x4x3")
    kernel = load_kernel("numpynet")
    dx = kernel.backward(case.dy, kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)[1])[0]
    assert diagnose(case, {"dx": dx}, ["dx"])["dx"] == (
        "the x_hat term is 0.104 of what it should be: divided by 48, the number of features (1 / prod(mean.shape)), "
        "where 5 samples were averaged",
        "the mean term is 0.0208 of what it should be: averaged, and then divided by 48, the number of features "
        "(1 / prod(mean.shape)), once more",
    )


SEEDS, SOME = st.integers(0, 99), st.sampled_from(PROBLEMS)
FACTORS = st.floats(0.01, 100).filter(lambda k: abs(k - 1) > 0.003).flatmap(lambda k: st.sampled_from([k, -k]))


def factor_told(sentences, name):
    (sentence,) = sentences
    if sentence == f"{name} has the wrong sign":
        return "-1"
    return re.match(rf"{name} is ([-0-9.e,]+) (?:of|times) what it should be", sentence).group(1)


@given(problem=SOME, factor=FACTORS, term=st.sampled_from(["dy", "mean_dy", "x_hat"]), seed=SEEDS)
def test_any_factor_of_a_term_is_recovered(right, problem, factor, term, seed):
    r = right(problem, seed=seed)
    name = {"dy": DY, "mean_dy": MEAN, "x_hat": X_HAT}[term].strip()
    assert rounds(factor_told(told(r.case, "dx", r.terms(**{term: factor})), name), factor)


@given(problem=SOME, factor=FACTORS, seed=SEEDS)
def test_any_factor_of_an_array_is_recovered(right, problem, factor, seed):
    r = right(problem, seed=seed)
    for array in ("dx", "dgamma", "dbeta"):
        assert rounds(factor_told(told(r.case, array, factor * getattr(r, array)), array), factor)


@pytest.mark.parametrize(
    ("seed", "factors"), [(2749, (1.00004392, 1, 0.99989752)), (3289, (1.00004538, 0.99998782, 1))]
)
def test_no_factor_is_told_that_reads_as_1(make_case, seed, factors):
    # What the features have in common is not 1, but so near that float32 does not show by how much.
    r = Right(make_case("12x7/float32/eps=0.1", seed=seed, mean=30.0))
    assert not any(" 1 times" in sentence for sentence in told(r.case, "dx", r.terms(*factors)))


@given(problem=SOME, factors=st.lists(FACTORS, min_size=3, max_size=3), seed=SEEDS)
def test_three_factors_at_once_are_recovered(right, problem, factors, seed):
    r = right(problem, seed=seed)
    read = dict.fromkeys(("dx", DY, MEAN, X_HAT), 1.0)
    for sentence in told(r.case, "dx", r.terms(*factors)):
        name = next(name for name in read if sentence.startswith(name))
        read[name] = float(factor_told([sentence], name.strip()).replace(",", ""))
    for name, factor in zip((DY, MEAN, X_HAT), factors, strict=True):
        assert read["dx"] * read[name] == pytest.approx(factor, rel=0.01)


@pytest.mark.parametrize("problem", [*PROBLEMS, "2x5", "3x4/float32", "64x5/float16/eps=0.001"])
@pytest.mark.parametrize("mean", [0.0, 0.5, 1e3])
def test_a_right_kernel_has_no_fault(right, problem, mean):
    for seed in range(5):
        r = right(problem, seed=seed, mean=mean)
        kernel = load_kernel("reference" if "float16" in problem else "numpy")
        y, saved = kernel.forward(r.case.x, r.case.gamma, r.case.beta, r.epsilon)
        arrays = dict(zip(("y", "dx", "dgamma", "dbeta"), (y, *kernel.backward(r.case.dy, saved)), strict=True))
        for array, sentences in diagnose(r.case, arrays, list(arrays)).items():
            assert sentences == (f"{array} is what the formula gives, up to rounding: no mistake was found",)


@given(problem=SOME, seed=SEEDS)
def test_nothing_fits_garbage(right, problem, seed):
    r = right(problem)
    rng = np.random.default_rng(seed)
    for array, kind in (
        ("y", "affine function of x_hat"),
        ("dx", "combination of the terms of the formula"),
        ("dgamma", "multiple of what it should be"),
        ("dbeta", "multiple of what it should be"),
    ):
        (sentence,) = told(r.case, array, rng.standard_normal(getattr(r, array).shape))
        left = re.fullmatch(rf"{array} is not an? {kind}: the best fit leaves (\d+) % unexplained", sentence).group(1)
        assert 30 <= int(left) <= 100


@pytest.mark.parametrize("part", [1e-1, 1e-3])
def test_the_residual_is_what_was_put_in(right, part):
    r = right("200x6")
    dx = r.dx * (1 + part * np.random.default_rng(0).choice([-1, 1], r.dx.shape))
    (sentence,) = told(r.case, "dx", dx)
    left = re.fullmatch(
        r"dx is not a combination of the terms of the formula: the best fit leaves (.*) % unexplained", sentence
    )
    assert float(left.group(1)) == pytest.approx(100 * part, rel=0.1)


# Where it is wrong, in the problem's own index.


def copy(r, array):
    """An array of ``r`` to write into, and the same memory in the problem's own shape."""
    values = np.array(getattr(r, array))
    own = values.reshape(r.problem.shape)
    assert np.shares_memory(values, own)
    return values, own


@pytest.mark.parametrize(
    ("problem", "places", "says"),
    [
        ("6x4x3", [(2, 3, 1)], "at 1 of its 72 elements: (2, 3, 1)"),
        (
            "6x4x3x2/channels-first",
            [(2, 3, 1, 0), (5, 0, 0, 1)],
            "at 2 of its 144 elements: (2, 3, 1, 0) and (5, 0, 0, 1)",
        ),
        ("6x4x3x2/channels-last", [(2, 3, 1, 0)], "at 1 of its 144 elements: (2, 3, 1, 0)"),
        (
            "40x9",
            [(3 * i, i) for i in range(8)],
            "at 8 of its 360 elements, the first at (0, 0)",
        ),
        ("6x4x3", [(..., 3, 1)], "in 1 of 12 features: (3, 1)"),
        ("6x9", [(..., 0), (..., 4), (..., 5)], "in 3 of 9 features: 0, 4 and 5"),
        ("6x9", [(..., slice(0, 7))], "in 7 of 9 features: 0, 1, 2, 3, 4 and 2 more"),
        ("6x4x3x2/channels-first", [(5,)], "at 1 of the 6 indices of axis 0: 5"),
        ("6x4x3x2/channels-last", [(slice(None), slice(None), 2)], "at 1 of the 3 indices of axis 2: 2"),
        (
            "6x4x3x2/channels-first",
            [(..., 1, 0)],
            "at 1 of the 3 indices of axis 2: 1, at 1 of the 2 indices of axis 3: 0",
        ),
        ("6x4x3x7/channels-last", [(3, 1, 2)], "at 1 of 72 samples, index (3, 1, 2) along axes 0, 1 and 2"),
        ("6x4x3x2/channels-first", [(5, 1)], "in 1 of 4 features: 1, at 1 of the 6 indices of axis 0: 5"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_part_that_is_wrong_is_located(right, problem, places, says, dtype):
    r = right(f"{problem}/{dtype}")
    for array in ("dx", "y"):
        values, own = copy(r, array)
        for seed, place in enumerate(places):
            own[place] *= 1.5 + np.random.default_rng(seed).random(np.shape(own[place]))
        sentences = told(r.case, array, values)
        assert sentences[0] == f"{array} is wrong only {says}"


@pytest.mark.parametrize(
    ("problem", "places", "says"),
    [
        # Up to five elements are listed, and of more the first, unless they fill half of the features and samples.
        ("40x9", [(i, i) for i in range(5)], "at 5 of its 360 elements: (0, 0), (1, 1), (2, 2), (3, 3) and (4, 4)"),
        ("40x9", [(3 * i, i) for i in range(6)], "at 6 of its 360 elements, the first at (0, 0)"),
        (
            "40x9",
            [*((i, i) for i in range(4)), (1, 0), (2, 1), (3, 2)],
            "at 7 of its 360 elements, the first at (0, 0)",
        ),
        (
            "40x9",
            [*((i, i) for i in range(4)), (1, 0), (2, 1), (3, 2), (0, 3)],
            "in 4 of 9 features: 0, 1, 2 and 3, at 4 of the 40 indices of axis 0: 0, 1, 2 and 3",
        ),
        ("6x9", [(slice(0, 4), slice(0, 6))], "in 6 of 9 features: 0, 1, 2, 3, 4 and 1 more, "
         "at 4 of the 6 indices of axis 0: 0, 1, 2 and 3"),
        ("4x1", [(1,)], "at 1 of its 4 elements: (1, 0)"),
        ("4x3", [(..., 1)], "in 1 of 3 features: 1"),
        # Five samples are listed, and of six the indices along each axis.
        (
            "6x4x3x7/channels-last",
            [(i, i % 2, 2) for i in range(5)],
            "at 5 of 72 samples, index (0, 0, 2), (1, 1, 2), (2, 0, 2), (3, 1, 2) and (4, 0, 2) along axes 0, 1 and 2",
        ),
        (
            "6x4x3x7/channels-last",
            [(i, i % 2, 2) for i in range(6)],
            "at 2 of the 4 indices of axis 1: 0 and 1, at 1 of the 3 indices of axis 2: 2",
        ),
        (
            "2x9x2x2/channels-first",
            [(0, slice(None), 1, 1)],
            "at 1 of 8 samples, index (0, 1, 1) along axes 0, 2 and 3",
        ),
        ("2x9x2/channels-last", [(0, 1, 1)], "at 1 of its 36 elements: (0, 1, 1)"),
    ],
)  # fmt: skip
def test_places_are_told_as_briefly_as_they_can_be(right, problem, places, says):
    r = right(problem)
    values, own = copy(r, "y")
    for seed, place in enumerate(places):
        own[place] += 1 + np.random.default_rng(seed).random(np.shape(own[place]))
    assert told(r.case, "y", values)[0] == f"y is wrong only {says}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_wrong_with_a_part_is_named(right, dtype):
    r = right(f"9x4x3x5/channels-first/{dtype}/eps=0.01")

    def part(array, features, values):
        whole = np.array(getattr(r, array))
        whole[:, list(features)] = values[:, list(features)]
        return told(r.case, array, whole)

    assert part("dx", (1, 2), r.terms(mean_dy=0)) == (
        "dx is wrong only in 2 of 4 features: 1 and 2",
        "there the mean term is missing",
    )
    assert part("dx", (3,), r.terms(x_hat=1.25)) == (
        "dx is wrong only in 1 of 4 features: 3",
        "there the x_hat term is 1.25 times what it should be",
    )
    assert part("dx", (0, 3), r.dx / r.gamma) == (
        "dx is wrong only in 2 of 4 features: 0 and 3",
        "there gamma is forgotten",
    )
    assert part("dx", (2,), 0 * r.dx) == ("dx is wrong only in 1 of 4 features: 2", "there it is 0")
    assert part("y", (2,), r.y - r.beta) == ("y is wrong only in 1 of 4 features: 2", "there beta is forgotten")
    _, what = part("dx", (2,), np.random.default_rng(0).standard_normal(r.dx.shape))
    assert what.startswith("there dx is not a combination of the terms of the formula: the best fit leaves ")
    assert part("dgamma", (1,), -r.dgamma) == (
        "dgamma is wrong only in 1 of 4 features: 1",
        "there dgamma has the wrong sign",
    )
    assert part("dgamma", (1,), 1.3 * r.dgamma) == (
        "dgamma is wrong only in 1 of 4 features: 1",
        "there dgamma is 1.3 times what it should be",
    )
    for change, says in (
        (lambda a: -a, "it has the wrong sign"),
        (lambda a: 0 * a, "it is 0"),
        (lambda a: 1.5 * a, "it is 1.5 times what it should be"),
        (lambda a: a + 0.25, "0.25 is added to it"),
    ):
        dx = r.dx.copy()
        dx[4] = change(dx[4])
        assert told(r.case, "dx", dx) == ("dx is wrong only at 1 of the 9 indices of axis 0: 4", f"there {says}")


@pytest.mark.parametrize(
    ("samples", "features", "place", "says_what"),
    [
        (slice(0, 5), slice(0, 2), "in 2 of 4 features: 0 and 1, at 5 of the 8 indices of axis 0: 0, 1, 2, 3 and 4", 1),
        (slice(0, 4), slice(0, 2), "in 2 of 4 features: 0 and 1, at 4 of the 8 indices of axis 0: 0, 1, 2 and 3", 0),
        (slice(0, 5), slice(0, 1), "at 5 of its 32 elements: (0, 0), (1, 0), (2, 0), (3, 0) and (4, 0)", 0),
        (
            slice(0, 6),
            slice(0, 1),
            "in 1 of 4 features: 0, at 6 of the 8 indices of axis 0: 0, 1, 2, 3, 4 and 1 more",
            1,
        ),
        (slice(0, 6), slice(0, 4), "at 6 of the 8 indices of axis 0: 0, 1, 2, 3, 4 and 1 more", 0),
        (slice(0, 2), slice(0, 4), "at 2 of the 8 indices of axis 0: 0 and 1", 0),
    ],
)
def test_garbage_is_measured_in_features_that_are_mostly_wrong(right, samples, features, place, says_what):
    r = right("8x4/eps=0.01")
    dx = np.array(r.dx)
    dx[samples, features] = np.random.default_rng(0).standard_normal(dx[samples, features].shape)
    where, *what = told(r.case, "dx", dx)
    assert where == f"dx is wrong only {place}"
    assert len(what) == says_what
    for sentence in what:
        assert sentence.startswith("there dx is not a combination of the terms of the formula: the best fit leaves ")


def test_features_that_hold_anothers_values_are_named(right):
    r = right("6x4x3/eps=0.01")
    for array in ("dx", "y", "dgamma", "dbeta"):
        values = getattr(r, array)
        assert told(r.case, array, values[:, [0, 1, 4, 3, 2, *range(5, 12)]]) == (
            f"2 of the 12 features hold {array} of another: (0, 2) that of (1, 1) and (1, 1) that of (0, 2)",
        )
        assert told(r.case, array, values[:, [3] * 12]) == (f"every feature holds {array} of feature (1, 0)",)
        assert told(r.case, array, np.roll(values, -1, 1)) == (
            f"{array} is shifted along the features: feature (0, 0) holds that of feature (0, 1)",
        )
    assert told(r.case, "dx", np.roll(r.dx, 2, 0)) == (
        "dx is shifted along the samples: sample 0 holds that of sample 4",
    )


def test_the_shortest_word_for_an_order_is_told(right):
    r = right("10x2/eps=0.01")
    assert told(r.case, "y", r.y[:, ::-1]) == ("y is shifted along the features: feature 0 holds that of feature 1",)
    few, half = np.array(r.y), np.array(r.y)
    few[[0, 2, 3, 7]] = r.y[[2, 3, 7, 0]]
    assert told(r.case, "y", few) == (
        "4 of the 10 samples hold y of another: 0 that of 2, 2 that of 3, 3 that of 7 and 7 that of 0",
    )
    # Elements, and not whole samples: half of them at least, for sorting hides fewer.
    few, half = np.array(r.y), np.array(r.y)
    few[:9, 0] = np.roll(r.y[:9, 0], 1)
    half[:, 0] = np.roll(r.y[:, 0], 1, 0)
    shuffled = "the values of y are right, but in another order"
    assert told(r.case, "y", few) != (shuffled,)
    assert told(r.case, "y", half) == (shuffled,)


@pytest.mark.parametrize("axes", [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_every_order_of_the_axes_is_named(right, axes):
    r = right("6x4x5/channels-first/float32/eps=0.01")
    order = ", ".join(("outer", "feature", "inner")[axis] for axis in axes)
    for name in ("y", "dx"):
        values = getattr(r, name).transpose(axes).reshape(r.x.shape)
        says = f"the axes of {name} are transposed: its values lie in the order ({order})"
        assert told(r.case, name, values) == (says,)


def test_positions_are_told_from_samples(right):
    r = right("6x4x3x5/channels-first/float32/eps=0.01")
    assert told(r.case, "dx", np.roll(r.dx, 1, 2)) == (
        "dx is shifted along the positions: position (0, 0) holds that of position (2, 4)",
    )
    assert told(r.case, "y", r.y + 0.05 * np.roll(r.y, -1, 2)) == (
        "positions leak: 0.05 of y of the next position is added to each",
    )


AXIS_OF = {"sample": 0, "feature": 1, "position": 2}


@pytest.mark.parametrize(("kind", "axis"), AXIS_OF.items())
@pytest.mark.parametrize("edge", ["goes round", "gets nothing"])
@pytest.mark.parametrize(("neighbour", "way"), [("previous", 1), ("next", -1)])
def test_what_leaks_from_a_neighbour_is_named(right, kind, axis, edge, neighbour, way):
    r = right("6x4x5/channels-first/eps=0.01")
    for name in ("y", "dx", "dgamma") if kind == "feature" else ("y", "dx"):
        array = getattr(r, name)
        leaks = np.roll(array, way, axis)
        if edge == "gets nothing":
            np.moveaxis(leaks, axis, 0)[0 if way == 1 else -1] = 0
        says = f"{kind}s leak: 0.05 of {name} of the {neighbour} {kind} is added to each"
        assert told(r.case, name, array + 0.05 * leaks) == (says,)


@pytest.mark.parametrize(("kind", "axis"), AXIS_OF.items())
def test_what_leaks_from_both_neighbours_or_all_is_named(right, kind, axis):
    r = right("6x4x5/channels-first/eps=0.01")
    for name in ("y", "dx", "dgamma") if kind == "feature" else ("y",):  # the mean of dx over samples is 0
        array = getattr(r, name)
        both = np.roll(array, 1, axis) + np.roll(array, -1, axis)
        says = f"{kind}s leak: -0.03 of {name} of both neighbouring {kind}s is added to each"
        assert told(r.case, name, array - 0.03 * both) == (says,)
        if name != "dgamma":  # whose mean is one number
            says = f"{kind}s leak: 0.03 of the mean of {name} over all {kind}s is added to each"
            assert told(r.case, name, array + 0.03 * array.mean(axis, keepdims=True)) == (says,)


def test_values_that_are_not_finite_are_located(right):
    r = right("6x4x3/eps=0.01")
    dx, own = copy(r, "dx")
    own[2, 1, 0] = np.nan
    assert told(r.case, "dx", dx) == ("dx is NaN at 1 of its 72 elements: (2, 1, 0)",)
    own[3, 1, 0] = np.inf
    assert told(r.case, "dx", dx) == ("dx is NaN or infinite at 2 of its 72 elements: (2, 1, 0) and (3, 1, 0)",)
    dx = r.terms(mean_dy=0)
    dx[:, 5] = np.nan
    assert told(r.case, "dx", dx) == ("dx is NaN in 1 of 12 features: (1, 2)", "the mean term is missing")
    scattered = np.where(np.arange(72).reshape(6, 12, 1) % 5, np.inf, r.dx)
    assert told(r.case, "dx", scattered) == ("dx is infinite at 57 of its 72 elements",)


def test_features_of_a_larger_problem_keep_their_numbers(right):
    whole = Problem.parse("6x40x30x2/float32/eps=0.01")
    r = right("6x7/channels-first/float32/eps=0.01")
    numbers = np.array([5, 61, 62, 119, 1200, 1201, 2399])
    dx = r.terms(mean_dy=1 / 2400, x_hat=6 / 2400).astype(np.float32)
    x_hat, mean_dy = diagnose(r.case, {"dx": dx}, ["dx"], numbers, whole)["dx"]
    assert "divided by 2,400, the number of features" in x_hat
    assert "divided by 2,400, the number of features" in mean_dy
    dx = np.array(r.dx, np.float32)
    dx[:, 3] *= 2
    assert diagnose(r.case, {"dx": dx}, ["dx"], numbers, whole)["dx"][0] == (
        "dx is wrong only in 1 of the 7 features examined: (1, 29, 1)"
    )
    dx = np.array(r.dx, np.float32)
    dx[4, 6] += 1
    assert diagnose(r.case, {"dx": dx}, ["dx"], numbers, whole)["dx"] == (
        "dx is wrong only at 1 of its 42 elements: (4, 39, 29, 1)",
    )
    with pytest.raises(ValueError, match="of the 7"):
        diagnose(r.case, {"dx": dx}, ["dx"], numbers)


def test_lost_precision_is_no_wrong_term(right):
    r = right("12x5x3x4/channels-first/eps=0.001")
    for dtype in ("float32", "float16"):
        for array in ("y", "dx", "dgamma", "dbeta"):
            stored = getattr(r, array).astype(dtype)
            assert told(r.case, array, stored) == (
                f"the values of {array} are {dtype} numbers: precision is lost, but no term is wrong",
            )
    gradients = load_kernel("numpy").forward(
        *(getattr(r.case, n).astype("float32") for n in ("x", "gamma", "beta")), 1e-3
    )
    y = gradients[0].astype(float) * (1 + 1e-15)
    assert told(r.case, "y", y) == ("y is right up to the rounding of float32, as if a step were computed in it",)
    far = right("64x24/eps=1e-05", mean=1e5)
    x = far.case.x
    var = (x * x).mean(SAMPLES, keepdims=True) - x.mean(SAMPLES, keepdims=True) ** 2
    for array, values in far.of_variance(np.sqrt(var + 1e-5)).items():
        (sentence,) = told(far.case, array, values)
        assert re.match(
            r"inv_std is off by up to .*e-0\d, as from E\[x\*\*2\]|dgamma is right up to the rounding", sentence
        )


def test_cancellation_that_only_some_features_show_is_named_there(right):
    r = right("64x24/eps=1e-05", mean=1e5)
    x = r.case.x
    var = np.where(np.arange(24).reshape(1, -1, 1) < 5, (x * x).mean(SAMPLES, keepdims=True) - mean(x) ** 2, r.var)
    where, what = told(r.case, "y", r.of_variance(np.sqrt(var + r.epsilon))["y"])
    assert where == "y is wrong only in 5 of 24 features: 0, 1, 2, 3 and 4"
    assert re.fullmatch(r"there inv_std is off by up to \S+, as from E\[x\*\*2\] - E\[x\]\*\*2 with a mean .*", what)


def test_factors_that_differ_by_feature_are_told_as_a_range(right):
    r = right("9x4/eps=0.01")
    by_feature = np.array([0.5, 0.75, 1.25, 1.5]).reshape(1, 4, 1)
    assert told(r.case, "dx", r.terms(mean_dy=by_feature)) == (
        "the mean term is 0.5 to 1.5 times what it should be, by feature",
    )
    assert told(r.case, "y", r.gamma * by_feature * r.x_hat + r.beta) == (
        "inv_std is wrong: y is right for one 0.5 to 1.5 times what it should be",
    )
    x_hat = by_feature * r.x_hat
    dx = by_feature * r.gamma / r.std * (r.dy - mean(r.dy) - x_hat * mean(r.dy * x_hat))
    assert told(r.case, "dx", dx) == ("inv_std is wrong: dx is right for one 0.5 to 1.5 times what it should be",)
    assert told(r.case, "y", r.y + by_feature * r.gamma) == (
        "the mean is off by up to 1.5 standard deviations, or beta by gamma times as much",
    )
    assert told(r.case, "y", r.y + by_feature * (r.gamma * r.x_hat + 1)) == (
        "0.5 to 1.5 is added to y, by feature",
        "gamma * x_hat is 1.5 to 2.5 times what it should be, by feature",
    )


def test_a_range_is_told_of_what_no_feature_shows_well(right):
    # 70,000 deviations from 0, float32 knows x_hat to a sixth.
    r = right("9x4/float32/eps=0.01", mean=7e4)
    by_feature = np.array([1.5, 2, 2.5, 3]).reshape(1, 4, 1)
    assert told(r.case, "y", r.y + (by_feature - 1) * r.gamma * r.x_hat + 4 * by_feature) == (
        "6 to 12 is added to y, by feature",
        "gamma * x_hat is 1.5 to 3 times what it should be, by feature",
    )


def test_what_is_added_shows_in_small_features_beside_large_ones(right):
    # float32 cannot hold the quarter beside 1,000 as it does beside a thousandth.
    r = right("9x6/float32", gamma=np.array([1e3, 1e-3] * 3), beta=np.zeros(6))
    y = np.array(r.y)
    y[4] += 0.25
    assert told(r.case, "y", y) == ("y is wrong only at 1 of the 9 indices of axis 0: 4", "there 0.25 is added to it")


def bits(array, count):
    """``array``, rounded to a significand of so many bits."""
    significand, exponent = np.frexp(np.asarray(array, float))
    return np.ldexp(np.rint(np.ldexp(significand, count)), exponent - count)


@pytest.mark.parametrize(
    ("dtype", "own", "count"),
    [("float32", "", 24), ("float16", "/float32", 11), ("float16", "", 11), ("bfloat16", "", 8)],
)
def test_a_narrower_type_is_told_by_its_bits(right, dtype, own, count):
    r = right(f"12x5x3x4/channels-first{own}/eps=0.001")
    says = f"the values of dx are {dtype} numbers: precision is lost, but no term is wrong"
    wider = {24: 8, 11: 2, 8: 1}[count]
    for name in ("dx", "y"):
        array = getattr(r, name)
        assert told(r.case, name, bits(array, count)) == (says.replace("dx", name),)
        assert told(r.case, name, bits(array, count + wider)) != (says.replace("dx", name),)
    if dtype != "float32":  # half a unit is rounding, and one is more
        off = bits(r.dx, count) + np.ldexp(1.0, np.frexp(np.asarray(r.dx, float))[1] - count)
        assert told(r.case, "dx", off) != (says,)


def test_a_step_computed_in_float32_is_told_by_its_size(right):
    r = right("12x5/eps=0.01")
    evidence = gather(r.case, {"dx": np.asarray(r.dx, float)})["dx"]
    signs = np.random.default_rng(0).choice([-1, 1], r.dx.shape)
    says = "dx is right up to the rounding of float32, as if a step were computed in it"
    unit = 2.0**29  # roundings of float64 in one of float32
    assert told(r.case, "dx", r.dx + 0.95 * unit * signs * evidence.allowed) == (says,)
    assert told(r.case, "dx", r.dx + 1.05 * unit * signs * evidence.allowed) != (says,)
    for features, is_told in ((3, True), (2, False)):  # of 5: more than half
        some = np.arange(5).reshape(1, 5, 1) < features
        assert (told(r.case, "dx", r.dx + 0.5 * unit * some * signs * evidence.allowed) == (says,)) is is_told


def test_imprecise_is_what_is_off_by_a_thousand_roundings_at_most(right):
    r = right("12x5/float32/eps=0.01")
    evidence = gather(r.case, {"dx": np.asarray(r.dx, np.float32)})["dx"]
    signs = np.random.default_rng(0).choice([-1, 1], r.dx.shape)
    (sentence,) = told(r.case, "dx", r.dx + 999.4 * signs * evidence.allowed)
    assert sentence == (
        "dx is off by up to 999 times what rounding in float32 may cost, and no known mistake explains it: "
        "precision may be lost"
    )
    (sentence,) = told(r.case, "dx", r.dx + 1000.5 * signs * evidence.allowed)
    assert sentence.startswith("dx is not a combination of the terms of the formula: the best fit leaves ")


def test_cancellation_is_told_from_ten_deviations_and_up_to_what_it_costs(right):
    for deviations, costs, is_told in ((10.5, 0.9, True), (9.5, 0.9, False), (10.5, 1.2, False)):
        r = right("40x4/eps=0", mean=0.0)
        # To the last bit the same mean and variance in each feature.
        r = Right(dataclasses.replace(r.case, x=np.asarray(r.x_hat + deviations).astype(float)))
        lost = costs * tolerance.budget(r.problem) * (deviations**2 + 1)
        share = (1 + lost * np.array([1, -0.7, 0.8, -1])).reshape(1, 4, 1)
        dx = share * r.gamma / r.std * (r.dy - mean(r.dy) - share**2 * r.x_hat * mean(r.dy * r.x_hat))
        (sentence, *_) = told(r.case, "dx", dx)
        assert sentence.startswith("inv_std is off by up to ") is is_told, sentence
        if is_told:
            number_of = f"{lost:.2g}, as from E[x**2] - E[x]**2 with a mean 11 deviations from 0"
            assert sentence == f"inv_std is off by up to {number_of}"


@pytest.mark.parametrize(
    ("array", "values", "says"),
    [
        ("y", lambda r: r.gamma * r.x_hat**2 + r.beta, "x_hat is squared"),
        ("dx", lambda r: r.dy, "dx is dy itself, unchanged"),
        ("dgamma", lambda r: r.dbeta, "dgamma is dbeta: the sum of dy, not of dy * x_hat"),
        ("dbeta", lambda r: r.dgamma, "dbeta is dgamma: the sum of dy * x_hat, not of dy"),
    ],
)
def test_a_known_formula_is_told_as_far_as_the_noise_goes(right, array, values, says):
    r = right("9x4/eps=0.01")
    values = np.asarray(values(r), float)
    evidence = gather(r.case, {array: values})[array]
    at = np.unravel_index(np.argmin(evidence.noise / evidence.allowed), evidence.noise.shape)
    for noise, is_told in ((0.9, True), (1.1, False)):
        off = values.copy().reshape(evidence.noise.shape)
        off[at] += noise * evidence.noise[at]
        assert (told(r.case, array, off) == (says,)) is is_told


def test_what_wrong_elements_have_in_common_takes_two_of_them(right):
    r = right("9x6/eps=0.01")

    def changed(change, *places):
        y = np.array(r.y)
        for place in places:
            y[place] = change(y[place])
        return told(r.case, "y", y)[1:]

    one, other, third = (0, 1), (3, 4), (7, 2)
    for change, says in (
        (lambda y: 1.5 * y, "there it is 1.5 times what it should be"),
        (lambda y: -y, "there it has the wrong sign"),
        (lambda y: -1.001 * y, "there it is -1.001 times what it should be"),
        (lambda y: y - 0.25, "there -0.25 is added to it"),
    ):
        assert changed(change, one) == ()
        assert changed(change, one, other) == (says,)
        assert changed(change, one, other, third) == (says,)
    mixed = np.array(r.y)
    mixed[one] *= 2
    mixed[other] *= 3
    mixed[third] += 1
    assert told(r.case, "y", mixed)[1:] == ()


def test_the_residual_is_that_of_all_features_whatever_their_size(right):
    # The large ones are a thousandth off and the small ones are garbage. A slope s leaves (1 - s)**2 of the former
    # and 1 + s**2 of the latter, at best 3/4 of what there is, whose root is 0.87.
    r = right("50x6/eps=0.01", gamma=np.array([1e4, 1e-4] * 3), beta=np.zeros(6))
    rng = np.random.default_rng(1)
    large = np.arange(6).reshape(1, 6, 1) % 2 == 0
    y = np.where(large, r.y * (1 + 1e-3 * rng.standard_normal(r.y.shape)), 1e-4 * rng.standard_normal(r.y.shape))
    (sentence,) = told(r.case, "y", y)
    left = re.fullmatch(
        r"y is not an affine function of x_hat: the best fit leaves (\d+) % unexplained", sentence
    ).group(1)
    assert 82 <= int(left) <= 92


@pytest.mark.parametrize(("samples", "is_told"), [(3, False), (4, True)])
def test_what_sums_to_0_over_three_samples_tells_nothing_of_its_neighbours(right, samples, is_told):
    r = right(f"{samples}x9/eps=0.01")
    for says, values in (
        ("0.125 of x is added to y", r.y + 0.125 * r.x),
        ("samples leak: 0.05 of y of the next sample is added to each", r.y + 0.05 * np.roll(r.y, -1, 0)),
    ):
        assert (says in told(r.case, "y", values)) is is_told


def test_the_mean_of_features_without_gamma_is_not_told(right):
    r = right("9x4/eps=0.01", gamma=np.array([0.5, 0, -2, 0]))
    by_feature = np.array([0.5, 0, 1.25, 0]).reshape(1, 4, 1)
    y = r.y + by_feature * r.gamma
    y[:, 1::2] += np.array([3, 5]).reshape(1, 2, 1)
    assert told(r.case, "y", y) == (
        "the mean is off by up to 1.25 standard deviations, or beta by gamma times as much",
    )
    r = right("9x4/eps=0.01", gamma=np.zeros(4))
    assert "standard deviations" not in told(r.case, "y", r.y + np.array([1, 2, 3, 5]).reshape(1, 4, 1))[0]


def test_arithmetic_in_float32_is_told_from_a_wrong_term_by_its_roundings(right):
    r = right("12x5/eps=0.01")
    narrow = [np.asarray(getattr(r, name), np.float32) for name in ("x", "gamma", "beta", "dy")]
    x, gamma, beta, dy = narrow
    std = np.sqrt(x.var(SAMPLES, keepdims=True) + np.float32(0.01))
    x_hat = (x - mean(x)) / std
    y = gamma * x_hat + beta
    dx = gamma / std * (dy - mean(dy) - x_hat * mean(dy * x_hat))
    for name, array in (("y", y), ("dx", dx)):
        assert array.dtype == np.float32
        assert (array != np.asarray(getattr(r, name), np.float32)).any()  # more than its storage is narrow
        says = f"the values of {name} are float32 numbers: precision is lost, but no term is wrong"
        assert told(r.case, name, array) == (says,)
        wrong = np.asarray(getattr(r, name) * (1 + 1e-4), np.float32)
        assert told(r.case, name, wrong) != (says,)


def test_what_is_added_to_a_part_is_told_as_far_as_it_is_known(right):
    for mean_of_x, says in ((0.5, "33.3"), (7e5, "33")):  # 700,000 deviations from 0, float32 knows y to about 2
        r = right("9x6/float32", mean=mean_of_x, gamma=np.ones(6), beta=np.zeros(6))
        y = np.array(r.y)
        y[4] += 100 / 3
        assert told(r.case, "y", y)[1:] == (f"there {says} is added to it",)


# What the data cannot show is not claimed.


@pytest.mark.parametrize("samples", [1, 2])
def test_too_few_samples_tell_no_terms_apart(right, samples):
    r = right(f"{samples}x7/eps=0.5")
    says = {
        1: "dx should be 0 everywhere, up to rounding",
        2: "the terms of dx cannot be distinguished on this data: give 4 samples or more, not 2",
    }
    assert told(r.case, "dx", r.terms(mean_dy=0)) == (says[samples],)


def test_three_samples_of_one_feature_fit_any_three_factors(right):
    r = right("3x1/eps=0.01")
    assert told(r.case, "dx", r.terms(mean_dy=0, x_hat=0)) == (FROZEN,)
    assert told(r.case, "dx", r.terms(x_hat=1.3)) == ("the x_hat term is 1.3 times what it should be",)
    garbage = np.random.default_rng(0).standard_normal(r.dx.shape)
    assert told(r.case, "dx", garbage) == (
        "the terms of dx cannot be distinguished on this data: give 4 samples or more, not 3",
    )


def test_a_dy_in_the_span_of_the_other_terms_tells_nothing(right):
    r = right("9x4/eps=0.5")
    case = dataclasses.replace(r.case, dy=np.asarray(2 + 3 * r.x_hat).astype(float))
    dx = Right(case).terms(x_hat=0)
    assert told(case, "dx", dx) == ("the terms of dx cannot be distinguished on this data: give another dy",)


def test_a_gamma_of_ones_hides_that_it_is_forgotten(right):
    r = right("9x4/eps=0.01", gamma=np.ones(4))
    assert told(r.case, "dx", r.terms(x_hat=2) * r.gamma) == ("the x_hat term is 2 times what it should be",)


def test_features_without_gamma_do_not_hide_the_others(right):
    r = right("9x4/eps=0.01", gamma=np.array([0.7, 0, -1.2, 0]))
    assert told(r.case, "dx", r.terms(mean_dy=0)) == ("the mean term is missing",)
    assert told(r.case, "y", r.y - r.beta) == ("beta is forgotten",)
    assert told(r.case, "y", r.x_hat + r.beta) == ("gamma is forgotten",)
    dx = (r.dy - mean(r.dy) - r.x_hat * mean(r.dy * r.x_hat)) / r.std
    assert told(r.case, "dx", dx) == ("gamma is forgotten",)


def test_an_epsilon_too_small_to_tell_is_not_claimed(right):
    # Inside or outside the root: at 1e-12 of a variance of 1 float32 cannot hold the difference.
    r = right("9x4/float32/eps=1e-12")
    for std in (np.sqrt(r.var) + r.epsilon, np.sqrt(r.var), np.sqrt(r.var + 1e-10)):
        for array, values in r.of_variance(std).items():
            assert "no mistake was found" in told(r.case, array, values)[0]


def test_the_simplest_of_explanations_that_agree_is_told(right):
    # 5 samples and 4 features: 5 / 4 is N / (N - 1) as well. Alone it is that; beside 1 / 4 it is the features.
    r = right("5x4")
    (alone,) = told(r.case, "dx", r.terms(x_hat=5 / 4))
    assert alone.endswith("divided by 4, one less than the 5 samples that were averaged")
    both = told(r.case, "dx", r.terms(x_hat=5 / 4, mean_dy=1 / 4))
    assert all("the number of features" in sentence for sentence in both)


def test_one_mistake_seen_twice_is_simpler_than_two(right):
    # 9 samples of 3 features: 1 / 9 of the mean term is that it is averaged twice, or that all is divided by 3, twice.
    r = right("9x3")
    thrice = told(r.case, "dx", r.terms(mean_dy=1 / 3, x_hat=9 / 3) / 3)
    assert len(thrice) == 3
    assert all("the number of features" in sentence for sentence in thrice)


def test_nothing_can_be_said_of_what_is_not_expected_to_be_finite(right):
    r = right("9x4")
    x = r.case.x.copy()
    x[2, 1] = np.nan
    case = dataclasses.replace(r.case, x=x)
    with np.errstate(all="ignore"):
        known = Right(
            dataclasses.replace(
                r.case,
                x=np.delete(x, 1, 1),
                dy=np.delete(r.case.dy, 1, 1),
                gamma=np.delete(r.case.gamma, 1),
                beta=np.delete(r.case.beta, 1),
            )
        )
    dx = np.insert(known.terms(mean_dy=0), 1, np.nan, axis=1)
    assert told(case, "dx", dx) == ("the mean term is missing",)
    case = dataclasses.replace(r.case, x=np.full_like(x, np.inf))
    assert told(case, "dx", dx) == ("no element of dx is expected to be finite, so it has no diagnosis",)


DAMAGE = {
    "zero": lambda a, rng: np.zeros_like(a),
    "ones": lambda a, rng: np.ones_like(a),
    "NaN": lambda a, rng: np.where(rng.random(a.shape) < 0.2, np.nan, a),
    "infinite": lambda a, rng: np.where(rng.random(a.shape) < 0.2, np.inf, a),
    "huge": lambda a, rng: a * 1e30,
    "tiny": lambda a, rng: a * 1e-30,
    "noise": lambda a, rng: a * (1 + 1e-4 * rng.standard_normal(a.shape)),
    "garbage": lambda a, rng: rng.standard_normal(a.shape),
    "reversed": lambda a, rng: a[::-1],
    "one element": lambda a, rng: a + (np.arange(a.size).reshape(a.shape) == rng.integers(a.size)),
}
DATA = {
    "constant feature": lambda case: {"x": np.where(np.arange(case.x.shape[1])[:, None] == 0, 3, case.x)},
    "no gamma": lambda case: {"gamma": 0 * case.gamma},
    "one gamma 0": lambda case: {"gamma": np.where(np.arange(case.gamma.size) == 0, 0, case.gamma)},
    "no dy": lambda case: {"dy": 0 * case.dy},
    "no beta": lambda case: {"beta": 0 * case.beta},
    "NaN in x": lambda case: {"x": np.where(np.arange(case.x.size).reshape(case.x.shape) == 0, np.nan, case.x)},
    "infinite dy": lambda case: {"dy": np.where(np.arange(case.x.size).reshape(case.x.shape) == 0, np.inf, case.dy)},
    "huge x": lambda case: {"x": case.x * 1e30},
    "tiny x": lambda case: {"x": case.x * 1e-30},
    "as drawn": lambda case: {},
}
TINY = ["1x1", "1x5", "2x1", "2x4", "3x3", "4x1", "3x2x4/channels-first", "2x3x2x2/channels-last", "7x6"]


@given(
    problem=st.sampled_from(TINY),
    dtype=st.sampled_from(["float32", "float64"]),
    epsilon=st.sampled_from(["0", "1e-8", "1.0"]),
    damage=st.sampled_from(list(DAMAGE)),
    data=st.sampled_from(list(DATA)),
    seed=SEEDS,
)
def test_there_is_always_something_to_say(make_case, problem, dtype, epsilon, damage, data, seed):
    rng = np.random.default_rng(seed)
    case = make_case(f"{problem}/{dtype}/eps={epsilon}", seed=seed)
    with np.errstate(all="ignore"):
        changed = {name: array.astype(dtype) for name, array in DATA[data](case).items()}
        case = dataclasses.replace(case, **changed)
        kernel = load_kernel("numpy")
        y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
        arrays = dict(zip(("y", "dx", "dgamma", "dbeta"), (y, *kernel.backward(case.dy, saved)), strict=True))
        arrays = {name: DAMAGE[damage](array, rng).astype(dtype) for name, array in arrays.items()}
    said = diagnose(case, arrays, list(arrays))
    assert list(said) == ["y", "dx", "dgamma", "dbeta"]
    for sentences in said.values():
        assert sentences
        for sentence in sentences:
            assert re.match(r"[a-zE0-9-]", sentence)
            assert not re.search(r"[{}]|\.$", sentence)


def test_only_what_is_called_wrong_is_diagnosed(right):
    r = right("6x4")
    assert diagnose(r.case, {"dx": r.dx, "y": r.y}, []) == {}
    assert list(diagnose(r.case, {"dx": r.dx, "y": r.y}, ["y"])) == ["y"]


@pytest.mark.parametrize(
    ("value", "error", "written"),
    [
        (0.10416666, 0, "0.104"), (1 / 48, 0, "0.0208"), (2.0, 0, "2"), (1.001, 0, "1.001"), (0.99975, 0, "0.99975"),
        (1 / 30000, 0, "3.33e-05"), (1048576.0, 0, "1,048,576"), (12.3456, 0, "12.3"), (1234.56, 0, "1,230"),
        (-2.5, 0, "-2.5"), (0.0, 0, "0"), (1e30, 0, "1e+30"), (2 / 3, 0.004, "0.667"), (2 / 3, 0.04, "0.67"),
        (999999999.0, 0, "999,999,999"), (1e9, 0, "1e+09"),
        (999.6e6, 1e-9, "1e+09"), (999.4e6, 1e-9, "999,000,000"), (-1048576.0, 0, "-1,048,576"), (-1.001, 0, "-1.001"),
        (1.1, 0, "1.1"), (1.0999, 0, "1.0999"), (0.9001, 0, "0.9001"), (0.8999, 0, "0.9"), (0.12345, 0, "0.123"),
        (0.001, 0, "0.001"), (0.000999, 0, "0.000999"), (0.00012345, 0, "0.000123"), (0.099951, 0, "0.1"),
        (3.0, 1e-9, "3"), (30.04, 0.1, "30"), (1.0012345, 1e-6, "1.00123"),
        (1.0012345, 5e-4, "1.0012"), (64.49, 1.0, "64"), (np.inf, 0, "inf"),
    ],
)  # fmt: skip
def test_a_number_is_written_as_far_as_it_is_known(value, error, written):
    assert number(value, error) == written


def test_a_ratio_reads_as_a_part_or_as_times():
    assert (ratio(0.25), ratio(4.0), ratio(-0.25)) == ("0.25 of", "4 times", "-0.25 times")


def test_where_y_alone_is_wrong_backward_is_not_asked(make_case):
    case, numpy = make_case("6x5"), load_kernel("numpy")
    calls = []

    def forward(x, gamma, beta, epsilon):
        calls.append("forward")
        y, saved = numpy.forward(x, gamma, beta, epsilon)
        return y - beta[:, None], saved

    def backward(dy, saved):
        calls.append("backward")
        return numpy.backward(dy, saved)

    kernel = dataclasses.replace(numpy, forward=forward, backward=backward, name="without-beta")
    findings = gradcheck.check(kernel, case)
    calls.clear()
    assert explain(kernel, case, findings) == {"y": ("beta is forgotten",)}
    assert calls == ["forward"]


def test_what_raises_when_it_runs_again_has_no_diagnosis(make_case):
    case = make_case("5x4x4x3")
    findings = gradcheck.check(load_kernel("numpynet"), case)
    assert explain(load_kernel("numpynet"), case, findings).keys() == {"dx"}

    def forward(x, gamma, beta, epsilon):
        raise OverflowError("not again")

    assert explain(dataclasses.replace(load_kernel("numpynet"), forward=forward), case, findings) == {}
