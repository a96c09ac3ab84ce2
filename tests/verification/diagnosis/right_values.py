"""What is right, computed from the definitions in the widest type, and what is said of other values."""

import re

import numpy as np
from hypothesis import strategies as st

from bncli.verification.diagnosis import diagnose

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


def diagnosed(case, array, values):
    """What is said of an array that holds ``values``, rounded to the case's dtype."""
    values = np.asarray(values).astype(case.problem.dtype)
    return diagnose(case, {array: values.reshape(-1) if array in ("dgamma", "dbeta") else values}, [array])[array]


X_HAT, MEAN, DY = "the x_hat term ", "the mean term ", "the dy term "
FROZEN = "the statistics are treated as constants (frozen), as in inference: the mean and x_hat terms are missing"
PROD = "{features}, the number of features (1 / prod(mean.shape))"
K = "is {k} what it should be"  # {k} is compared with the factor, not letter by letter


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


SPATIAL = [problem for problem in PROBLEMS if problem.count("x") > 1 and "channels" in problem]

SEEDS, SOME = st.integers(0, 99), st.sampled_from(PROBLEMS)


def copy(r, array):
    """An array of ``r`` to write into, and the same memory in the problem's own shape."""
    values = np.array(getattr(r, array))
    own = values.reshape(r.problem.shape)
    assert np.shares_memory(values, own)
    return values, own
