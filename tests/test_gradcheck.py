"""The checker itself: it rejects what is wrong, passes what is right, and never passes what shows nothing."""

import dataclasses

import numpy as np
import pytest

from bncli.core.kernel import Gradients, Kernel, load_kernel
from bncli.verification import accuracy, gradcheck, tolerance
from bncli.verification.finding import Finding, Verdict, worst

NUMPY = load_kernel("numpy")
SAMPLES = (0, 2)
PROBLEMS = ["5x4x4x3", "12x3x4x5/channels-first", "4x5x6x3/channels-last", "2048x64", "128x16", "7x9/eps=1.0"]


def with_dx(fault):
    """The NumPy kernel with a fault in dx: fault(terms) -> dx, from the three terms and what made them."""

    def backward(dy, saved):
        gradients = NUMPY.backward(dy, saved)
        x_hat = (saved.x - saved.mean[:, None]) * saved.inv_std[:, None]
        scale = (saved.gamma * saved.inv_std)[:, None]
        mean_dy = dy.mean(SAMPLES)[:, None]
        slope = x_hat * (dy * x_hat).mean(SAMPLES)[:, None]
        return fault(gradients[0].copy(), dy, scale, mean_dy, slope), gradients[1], gradients[2]

    return Kernel(NUMPY.forward, backward, name="faulty")


def with_y(fault):
    """A kernel with the right gradients of another function than batch norm."""

    def forward(x, gamma, beta, epsilon):
        return fault(x, gamma, beta, epsilon), NUMPY.forward(x, gamma, beta, epsilon)[1]

    return Kernel(forward, NUMPY.backward, name="faulty")


def with_parameters(fault):
    def backward(dy, saved):
        return fault(*NUMPY.backward(dy, saved), dy, saved)

    return Kernel(NUMPY.forward, backward, name="faulty")


def one_element(dx, *_):
    dx.flat[dx.size // 3] *= 1.001
    return dx


def one_feature(dx, *_):
    dx[:, dx.shape[1] // 2] *= 1.001
    return dx


WRONG_DX = {
    "zero": lambda dx, dy, scale, mean_dy, slope: np.zeros_like(dx),
    "no mean term": lambda dx, dy, scale, mean_dy, slope: scale * (dy - slope),
    "no x_hat term": lambda dx, dy, scale, mean_dy, slope: scale * (dy - mean_dy),
    "frozen statistics": lambda dx, dy, scale, mean_dy, slope: scale * dy,
    "x_hat term off by 0.1 %": lambda dx, dy, scale, mean_dy, slope: scale * (dy - mean_dy - 1.001 * slope),
    "mean term off by 0.1 %": lambda dx, dy, scale, mean_dy, slope: scale * (dy - 1.001 * mean_dy - slope),
    "sign of the mean term": lambda dx, dy, scale, mean_dy, slope: scale * (dy + mean_dy - slope),
    "overall 0.1 %": lambda dx, dy, scale, mean_dy, slope: 1.001 * dx,
    "no gamma": lambda dx, dy, scale, mean_dy, slope: np.abs(dx),
    "leak between features": lambda dx, dy, scale, mean_dy, slope: dx + 1e-3 * np.roll(dx, 1, axis=1),
    "NaN": lambda dx, dy, scale, mean_dy, slope: np.full_like(dx, np.nan),
    "one element 0.1 % off": one_element,
    "one feature 0.1 % off": one_feature,
}

WRONG_Y = {
    "unbiased variance": lambda x, g, b, e: (
        g[:, None] * (x - x.mean(SAMPLES)[:, None]) / np.sqrt(x.var(SAMPLES, ddof=1) + e)[:, None] + b[:, None]
    ),
    "epsilon outside the root": lambda x, g, b, e: (
        g[:, None] * (x - x.mean(SAMPLES)[:, None]) / (x.std(SAMPLES) + np.sqrt(e))[:, None] + b[:, None]
    ),
    "squared numerator": lambda x, g, b, e: (
        g[:, None] * (x - x.mean(SAMPLES)[:, None]) ** 2 / np.sqrt(x.var(SAMPLES) + e)[:, None] + b[:, None]
    ),
    "no beta": lambda x, g, b, e: NUMPY.forward(x, g, 0 * b, e)[0],
}

WRONG_PARAMETERS = {
    "dgamma averaged": (lambda dx, dg, db, dy, saved: (dx, dg / dy.shape[0], db), "dgamma"),
    "dbeta averaged": (lambda dx, dg, db, dy, saved: (dx, dg, db / dy.shape[0]), "dbeta"),
    "swapped": (lambda dx, dg, db, dy, saved: (dx, db, dg), "dgamma"),
    "dgamma from x": (lambda dx, dg, db, dy, saved: (dx, (dy * saved.x).sum(SAMPLES), db), "dgamma"),
}


def verdicts(kernel, case):
    return {finding.array: finding.verdict for finding in gradcheck.check(kernel, case)}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", ["numpy", "numba", "reference"])
def test_right_kernels_pass(make_case, name, problem):
    for seed in range(3):
        assert set(verdicts(load_kernel(name), make_case(problem, seed=seed)).values()) == {Verdict.PASS}


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("std", [1e-3, 1.0, 1e5])
def test_right_kernel_passes_on_hard_data(make_case, mean, std):
    assert set(verdicts(NUMPY, make_case("9x5", mean=mean * std, std=std)).values()) == {Verdict.PASS}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("fault", WRONG_DX)
def test_wrong_dx_is_rejected(make_case, fault, problem):
    found = verdicts(with_dx(WRONG_DX[fault]), make_case(problem))
    assert found == {"y": Verdict.PASS, "dx": Verdict.WRONG, "dgamma": Verdict.PASS, "dbeta": Verdict.PASS}


@pytest.mark.parametrize("problem", ["5x4x4x3/float32", "2048x64/float32", "12x3x4x5/channels-first/float32"])
@pytest.mark.parametrize("fault", WRONG_DX)
def test_wrong_dx_is_rejected_in_float32(make_case, fault, problem):
    case = make_case(problem)
    found = {finding.array: finding for finding in gradcheck.check(with_dx(WRONG_DX[fault]), case)}
    assert found["dx"].verdict is Verdict.WRONG
    assert found["dx"].method == "reference"  # finite differences of float32 prove nothing


@pytest.mark.parametrize("problem", ["5x4x4x3/eps=0.001", "12x3x4x5/channels-first/eps=0.001"])
@pytest.mark.parametrize("fault", WRONG_Y)
def test_a_function_that_is_not_batch_norm_is_rejected(make_case, fault, problem):
    assert verdicts(with_y(WRONG_Y[fault]), make_case(problem))["y"] is Verdict.WRONG


@pytest.mark.parametrize("fault", WRONG_PARAMETERS)
def test_wrong_parameter_gradients_are_rejected(make_case, fault):
    function, array = WRONG_PARAMETERS[fault]
    found = verdicts(with_parameters(function), make_case("5x4x4x3"))
    assert found[array] is Verdict.WRONG
    assert found["dx"] is Verdict.PASS


def test_the_published_listing_is_rejected(make_case):
    case = make_case("5x4x4x3")
    dx = next(finding for finding in gradcheck.check(load_kernel("numpynet"), case) if finding.array == "dx")
    assert dx.verdict is Verdict.WRONG
    assert dx.error > 0.1
    assert dx.checked == dx.total == case.x.size


def test_the_worst_element_is_named(make_case):
    case = make_case("5x4x4x3")
    right = NUMPY.backward(case.dy, NUMPY.forward(case.x, case.gamma, case.beta, case.problem.epsilon)[1])[0]

    def fault(dx, *_):
        dx[3, 17, 0] += 1
        return dx

    dx = next(finding for finding in gradcheck.check(with_dx(fault), case) if finding.array == "dx")
    assert dx.index == (3, *(int(i) for i in np.unravel_index(17, (4, 4, 3))))
    assert dx.actual == right[3, 17, 0] + 1
    assert dx.expected == pytest.approx(right[3, 17, 0])


def test_features_that_interact_are_seen(make_case):
    # A mean over the features as well: a perturbation of one sample in all features alike hides it.
    def forward(x, gamma, beta, epsilon):
        return NUMPY.forward(x - x.mean(1, keepdims=True), gamma, beta, epsilon)

    def backward(dy, saved):
        return NUMPY.backward(dy, saved)

    found = verdicts(Kernel(forward, backward, name="layer norm"), make_case("7x9"))
    assert found["dx"] is Verdict.WRONG


@pytest.mark.parametrize("dy", ["ones", "x_hat"])
def test_a_gradient_that_batch_norm_annihilates_is_undecided(make_case, dy):
    # dx is 0 for these, and a kernel that returns zeros would pass: that is no check.
    case = make_case("50x9/eps=0.0")
    x_hat = (case.x - case.x.mean(SAMPLES)[:, None]) / case.x.std(SAMPLES)[:, None]
    case = dataclasses.replace(case, dy=np.ones_like(x_hat) if dy == "ones" else x_hat)
    for kernel in (NUMPY, with_dx(WRONG_DX["zero"])):
        dx = next(finding for finding in gradcheck.check(kernel, case) if finding.array == "dx")
        assert dx.verdict is Verdict.UNDECIDED
        assert "too small" in dx.reason


def test_one_sample_is_undecided(make_case):
    dx = next(finding for finding in gradcheck.check(NUMPY, make_case("1x9")) if finding.array == "dx")
    assert dx.verdict is Verdict.UNDECIDED
    assert "give 3 or more" in dx.reason


def test_features_that_cannot_be_judged_are_counted(make_case):
    case = make_case("9x4")
    gamma = case.gamma.copy()
    gamma[1] = 0
    case = dataclasses.replace(case, gamma=gamma)
    dx = next(finding for finding in gradcheck.check(NUMPY, case) if finding.array == "dx")
    assert dx.verdict is Verdict.PASS
    assert dx.reason == "1 of 4 features have too small a gradient to be judged"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_in_one_feature_does_not_stop_the_others_from_being_judged(make_case, dtype):
    case = make_case(f"9x4/{dtype}")
    x = case.x.copy()
    x[2, 1] = np.nan
    case = dataclasses.replace(case, x=x)
    with np.errstate(all="ignore"):
        assert set(verdicts(NUMPY, case).values()) <= {Verdict.PASS, Verdict.UNDECIDED}
        assert verdicts(with_dx(WRONG_DX["overall 0.1 %"]), case)["dx"] is not Verdict.PASS


def test_few_samples_are_checked_in_full_and_many_by_sampling(make_case):
    few = {finding.array: finding for finding in gradcheck.check(NUMPY, make_case("8x30"))}
    assert (few["dx"].checked, few["dx"].total) == (240, 240)
    many = {finding.array: finding for finding in gradcheck.check(NUMPY, make_case("1000x30"))}
    assert (many["dx"].checked, many["dx"].total) == (8 * 30, 30_000)


def test_the_seeds_problem_costs_two_evaluations_a_sample(make_case):
    evaluations = []

    def forward(x, gamma, beta, epsilon):
        evaluations.append(x)
        return NUMPY.forward(x, gamma, beta, epsilon)

    counting = Kernel(forward, NUMPY.backward, name="counting")
    found = {finding.array: finding for finding in gradcheck.check(counting, make_case("5x10x10x3"))}
    assert found["dx"].checked == found["dx"].total == 1500
    # Two of each sample, each probe, gamma and beta; one to differentiate and one to judge y.
    assert len(evaluations) == 2 * (5 + gradcheck.PROBES + 2) + 2


def test_accuracy_sees_what_float32_loses(make_case):
    # E[x**2] - E[x]**2, the cancellation that no kernel here computes.
    def forward(x, gamma, beta, epsilon):
        mean = x.mean(SAMPLES)
        var = (x * x).mean(SAMPLES) - mean * mean
        scale = gamma / np.sqrt(np.maximum(var, 0) + np.float32(epsilon))
        return (x - mean[:, None]) * scale[:, None] + beta[:, None], None

    case = make_case("64x50/per-activation/float32/eps=1e-05", mean=100.0)
    (y,) = accuracy.check(Kernel(forward, NUMPY.backward, name="naive"), case, ("y",))
    assert y.verdict is Verdict.WRONG
    (y,) = accuracy.check(NUMPY, case, ("y",))
    assert y.verdict is Verdict.PASS


def test_data_that_float32_cannot_judge_is_undecided(make_case):
    # At mean / std = 1e4 a backward-stable float32 kernel may be 2 % off: who is 1 % wrong would pass.
    case = make_case("64x50/float32/eps=1e-05", mean=1e4)
    found = {finding.array: finding for finding in gradcheck.check(NUMPY, case)}
    assert found["dx"].verdict is Verdict.UNDECIDED
    assert "use --dtype float64" in found["dx"].reason
    assert found["dbeta"].verdict is Verdict.PASS
    # What is beyond even that tolerance is wrong all the same.
    assert verdicts(with_dx(WRONG_DX["frozen statistics"]), case)["dx"] is Verdict.WRONG


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
    assert tolerance.budget(case.problem) == pytest.approx(42 * 2**-24)


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
