"""Data that could not have shown a mistake are UNDECIDED, and never a pass."""

import dataclasses

import numpy as np
import pytest

from bncli.errors import InputError
from bncli.loading.registry import load_kernel
from bncli.verification import gradients as gradcheck
from bncli.verification.finding import Verdict
from faulty_kernels import NUMPY, SAMPLES, WRONG_DX, of_dx, verdicts, verdicts_of, with_dx, with_parameters


@pytest.mark.parametrize("dy", ["ones", "x_hat"])
def test_a_gradient_that_batch_norm_annihilates_is_undecided(make_case, dy):
    # dx is 0 for these, and a kernel that returns zeros would pass: that is no check.
    case = make_case("50x9/eps=0.0")
    x_hat = (case.x - case.x.mean(SAMPLES)[:, None]) / case.x.std(SAMPLES)[:, None]
    case = dataclasses.replace(case, dy=np.ones_like(x_hat) if dy == "ones" else x_hat)
    for kernel in (NUMPY, with_dx(WRONG_DX["zero"])):
        found = gradcheck.check(kernel, case)
        assert verdicts_of(found)["dx"] is Verdict.UNDECIDED
        (reason,) = (each.reason for each in found if (each.array, each.method) == ("dx", "complex-step"))
        assert "too small" in reason


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("span", "term"), [("ones", "mean"), ("x_hat", "x_hat")])
def test_a_dy_that_hides_one_term_is_undecided(make_case, span, term, dtype):
    # dx itself is well visible, but who forgets that term is right here.
    case = make_case(f"50x9/{dtype}")
    x_hat = (case.x - case.x.mean(SAMPLES)[:, None]) / case.x.std(SAMPLES)[:, None]
    along = np.ones_like(x_hat) if span == "ones" else x_hat
    dy = case.dy.astype(np.float64)
    dy -= along * ((dy * along).mean(SAMPLES) / (along * along).mean(SAMPLES))[:, None]
    dy -= along * ((dy * along).mean(SAMPLES) / (along * along).mean(SAMPLES))[:, None]
    case = dataclasses.replace(case, dy=dy.astype(dtype))
    if dtype == "float64":
        assert f"the {term} term of dx vanish" in of_dx(NUMPY, case, "complex-step").reason
    assert verdicts(NUMPY, case)["dx"] is Verdict.UNDECIDED


def test_both_terms_that_a_dy_hides_are_named(make_case):
    case = make_case("50x9")
    x_hat = (case.x - case.x.mean(SAMPLES)[:, None]) / case.x.std(SAMPLES)[:, None]
    dy = case.dy.copy()
    for _ in range(2):
        dy -= dy.mean(SAMPLES)[:, None]
        dy -= x_hat * (dy * x_hat).mean(SAMPLES)[:, None]
    dx = of_dx(NUMPY, dataclasses.replace(case, dy=dy), "complex-step")
    assert dx.verdict is Verdict.UNDECIDED
    assert dx.reason == (
        "the mean and the x_hat terms of dx vanish for this dy, so a mistake in them would not show: "
        "give a dy for which mean(dy) and mean(dy * x_hat) are not 0"
    )


def test_one_sample_is_undecided(make_case):
    dx = of_dx(NUMPY, make_case("1x9"), "complex-step")
    assert dx.verdict is Verdict.UNDECIDED
    assert "give 3 or more" in dx.reason


def test_features_that_cannot_be_judged_are_counted(make_case):
    case = make_case("9x4")
    gamma = case.gamma.copy()
    gamma[1] = 0
    case = dataclasses.replace(case, gamma=gamma)
    dx = of_dx(NUMPY, case, "complex-step")
    assert dx.verdict is Verdict.PASS
    assert dx.reason == "1 of 4 features has too small a gradient to be judged"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_in_one_feature_does_not_stop_the_others_from_being_judged(make_case, dtype):
    case = make_case(f"9x4/{dtype}")
    x = case.x.copy()
    x[2, 1] = np.nan
    case = dataclasses.replace(case, x=x)
    with np.errstate(all="ignore"):
        assert set(verdicts(NUMPY, case).values()) <= {Verdict.PASS, Verdict.UNDECIDED}
        assert verdicts(with_dx(WRONG_DX["overall 0.1 %"]), case)["dx"] is not Verdict.PASS


def test_what_rests_on_a_reference_that_fails_its_own_check_is_undecided(make_case, monkeypatch):
    def backward(dy, saved, *, out=None):
        return dy * 0, *NUMPY.backward(dy, saved)[1:]

    reference = load_kernel("reference")
    monkeypatch.setattr(gradcheck, "load_kernel", lambda name: dataclasses.replace(reference, backward=backward))
    case = make_case("6x7/float32")
    found = {f.array: f for f in gradcheck.check(with_parameters(lambda dx, dg, db, dy, saved: (dx, dg, 2 * db)), case)}
    for array in ("y", "dx", "dgamma"):
        assert found[array].verdict is Verdict.UNDECIDED
        assert found[array].reason == "the reference itself could not be checked here: dx: WRONG"
    assert (found["dbeta"].verdict, found["dbeta"].reason) == (Verdict.WRONG, "")
    with pytest.raises(InputError, match="--method central takes slopes"):
        gradcheck.check(NUMPY, case, method=gradcheck.Method.CENTRAL)
