"""INEXACT is right with lost digits: what a kernel is granted whose arithmetic takes subnormal numbers for 0."""

import dataclasses

import numpy as np
import pytest

from bncli.loading.registry import load_kernel
from bncli.verification import suite
from bncli.verification.finding import Verdict
from bncli.verification.suite import Scenario

NUMPY = load_kernel("numpy")
PLAIN = Scenario("tiny")


def flushed(array):
    return np.where(np.abs(array) < np.finfo(array.dtype).tiny, array.dtype.type(0), array)


def forward(x, gamma, beta, epsilon):
    y, saved = NUMPY.forward(*map(flushed, (x, gamma, beta)), epsilon)
    return flushed(y), saved


def backward(dy, saved):
    return tuple(map(flushed, NUMPY.backward(flushed(dy), saved)))


FLUSHES = dataclasses.replace(NUMPY, forward=forward, backward=backward, name="flushes")
X_ALONE = dataclasses.replace(NUMPY, forward=lambda x, *rest: NUMPY.forward(flushed(x), *rest), name="x-alone")
DROPS_BETA = dataclasses.replace(FLUSHES, forward=lambda x, g, b, e: forward(x, g, 0 * b, e), name="drops-beta")


@pytest.fixture
def subnormal(make_case):
    case = make_case("9x4/float32/eps=1e-05")
    return dataclasses.replace(case, x=case.x * np.float32(1e-39), beta=0 * case.beta)


def verdicts(kernel, case):
    found = suite.on_data(kernel, PLAIN, case)
    return {each.finding.verdict for each in found} - {Verdict.PASS}, [each.finding.reason for each in found]


def test_arithmetic_without_subnormal_numbers_is_inexact_and_said(subnormal):
    found, reasons = verdicts(FLUSHES, subnormal)
    assert found == {Verdict.INEXACT}
    assert "numbers below 1.2e-38 are taken for 0; the same x near 1 is right" in reasons


def test_who_takes_only_small_x_for_0_is_wrong(subnormal):
    assert verdicts(X_ALONE, subnormal)[0] == {Verdict.WRONG}


def test_who_is_wrong_near_1_as_well_is_wrong(make_case):
    case = make_case("9x4/float32/eps=1e-05")
    small = dataclasses.replace(case, x=case.x * np.float32(1e-39))
    assert verdicts(DROPS_BETA, small)[0] == {Verdict.WRONG}
