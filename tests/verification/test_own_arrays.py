"""A kernel that writes into its arguments: the contract says so, and its values are judged on copies."""

import numpy as np
import pytest

from bncli.core.kernel import Gradients, Kernel
from bncli.core.problem import Problem
from bncli.core.source import draw
from bncli.loading.registry import load_kernel
from bncli.verification import contract, gradients, suite
from bncli.verification.finding import Verdict

NUMPY = load_kernel("numpy")


def unprotected(array):
    """A writable view of a read-only array, as frameworks make that ignore the flag."""
    interface = {**array.__array_interface__, "data": (array.__array_interface__["data"][0], False)}
    holder = type("Holder", (), {"__array_interface__": interface, "array": array})
    return np.asarray(holder())


def damaging(in_forward):
    def forward(x, gamma, beta, epsilon, *, out=None):
        y, saved = NUMPY.forward(x.copy(), gamma, beta, epsilon)
        if in_forward:
            unprotected(x)[...] *= 1.5
        return y, saved

    def backward(dy, saved, *, out=None):
        found = Gradients(*NUMPY.backward(dy.copy(), saved))
        if not in_forward:
            unprotected(dy)[...] *= 1.5
        return found

    return Kernel(forward, backward, name="damaging", tries_complex=False)


@pytest.mark.parametrize(
    ("in_forward", "words"), [(True, "forward writes into its x"), (False, "backward writes into dy")]
)
def test_gradcheck_blames_the_contract_alone(in_forward, words):
    case = draw("normal", Problem.parse("6x5x4/float64"), 0)
    before = case.x.copy(), case.dy.copy()
    found = gradients.check(damaging(in_forward), case)
    assert [finding.array for finding in found if finding.verdict is Verdict.WRONG] == [contract.ARRAY]
    assert words in found[-1].reason
    assert np.array_equal(case.x, before[0])
    assert np.array_equal(case.dy, before[1])


def test_verify_blames_the_contract_alone():
    case = draw("normal", Problem.parse("6x5x4/float32"), 0)
    judged = [*suite.on_data(damaging(True), suite.Scenario("normal"), case), *suite.behaviour(damaging(True), case)]
    assert {each.check for each in judged if each.finding.verdict is Verdict.WRONG} == {contract.ARRAY}
