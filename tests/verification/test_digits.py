"""Lost digits, the budget of roundings, and how many digits a share is."""

import dataclasses

import numpy as np
import pytest

from bncli.core.kernel import Gradients, Kernel
from bncli.core.problem import Problem
from bncli.verification import accuracy, tolerance
from bncli.verification import gradients as gradcheck
from bncli.verification.finding import Finding, Verdict, worst
from faulty_kernels import NUMPY, SAMPLES, WRONG_DX, verdicts, verdicts_of, with_dx


def test_accuracy_sees_what_float32_loses(make_case):
    # E[x**2] - E[x]**2, the cancellation that no kernel here computes.
    def forward(x, gamma, beta, epsilon):
        mean = x.mean(SAMPLES)
        var = (x * x).mean(SAMPLES) - mean * mean
        scale = gamma / np.sqrt(np.maximum(var, 0) + np.float32(epsilon))
        return (x - mean[:, None]) * scale[:, None] + beta[:, None], None

    case = make_case("64x50/per-activation/float32/eps=1e-05", mean=100.0)
    for function, verdict in ((forward, Verdict.WRONG), (NUMPY.forward, Verdict.PASS)):
        y, _ = function(case.x, case.gamma, case.beta, case.problem.epsilon)
        (finding,) = accuracy.judge(NUMPY, case, {"y": y})
        assert finding.verdict is verdict


def test_digits_lost_by_a_mean_in_float32_are_inexact(make_case):
    # At mean / std = 1e6 a mean in float32 is some percent of a deviation off.
    case = make_case("64x50/float32/eps=1e-05", mean=1e6)

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        return y, saved._replace(mean=saved.mean.astype(np.float32))

    found = {f.array: f for f in gradcheck.check(Kernel(forward, NUMPY.backward, name="rounded"), case)}
    assert found["dx"].verdict is Verdict.INEXACT
    assert "digits are lost far from 0, where rms(x) is 1.4e+06 times the deviation" in found["dx"].reason
    assert found["dbeta"].verdict is Verdict.PASS
    # Who keeps the digits of the mean has nothing to hide,
    assert set(verdicts(NUMPY, case).values()) == {Verdict.PASS}
    # and what is beyond even that tolerance is wrong all the same.
    assert verdicts(with_dx(WRONG_DX["zero"]), make_case("64x50/float32/eps=1e-05", mean=1e3))["dx"] is Verdict.WRONG


@pytest.mark.parametrize("fault", [name for name in WRONG_DX if "0.1 %" in name])
def test_a_small_mistake_that_conditioning_hides_shows_on_benign_data(make_case, fault):
    found = gradcheck.check(with_dx(WRONG_DX[fault]), make_case("64x20/float32/eps=1e-05", mean=1e4))
    assert "benign-data" in found[-1].broken or verdicts_of(found)["dx"] is Verdict.WRONG


def test_accuracy_judges_every_block_of_features(make_case, monkeypatch):
    monkeypatch.setattr(accuracy, "BLOCK", 40)
    case = make_case("10x23")
    for feature in (0, 4, 22):

        def fault(dx, *_, feature=feature):
            dx[7, feature] += 1e-6
            return dx

        found = {finding.array: finding for finding in accuracy.check(with_dx(fault), case)}
        assert found["dx"].verdict is Verdict.WRONG
        assert found["dx"].index == (7, feature)
        assert found["dx"].total == found["dx"].checked == 230


def test_budgets_do_not_depend_on_the_scale_of_the_data(make_case):
    shares = []
    for scale in (1e-6, 1.0, 1e6):
        case = make_case("40x6/eps=0.0", mean=3 * scale, std=scale)
        shares.append(max(finding.share for finding in accuracy.check(NUMPY, case)))
    assert max(shares) < 1
    assert max(shares) < 10 * min(shares)


def test_a_budget_of_roundings(make_case):
    case = make_case("100x3/float32")
    assert tolerance.budget(case.problem) == pytest.approx(132 * 2**-24)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_budget_grows_until_it_would_hide_a_mistake(dtype):
    budgets = [tolerance.budget(Problem((samples, 3), dtype=dtype)) for samples in (1, 100, 10**4, 10**6, 10**8)]
    assert budgets == sorted(budgets)
    assert budgets[-1] < 1e-3


def test_digits_and_shares():
    finding = Finding("k", "y", "reference", Verdict.PASS, error=1e-7, budget=1e-6)
    assert finding.digits(2**-53) == pytest.approx(7)
    assert finding.share == pytest.approx(0.1)
    exact = dataclasses.replace(finding, error=0.0)
    assert exact.digits(2**-24) == pytest.approx(7.22, abs=0.01)
    assert dataclasses.replace(finding, error=np.inf).digits(2**-24) == 0
    assert worst([exact, finding]) is finding


def test_gradients_are_named_in_the_order_of_backward():
    assert Gradients._fields == ("dx", "dgamma", "dbeta")
