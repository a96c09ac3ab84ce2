"""How far a kernel is from the formulas: each figure of a finding, against what it has to be."""

import dataclasses
import types

import numpy as np
import pytest

from bncli.core.kernel import Kernel
from bncli.loading.registry import load_kernel
from bncli.verification import accuracy, blocked_reference, tolerance
from bncli.verification.finding import Verdict

NUMPY, REFERENCE = load_kernel("numpy"), load_kernel("reference")
SAMPLES = (0, 2)
WIDER = np.finfo(np.longdouble).eps < np.finfo(np.float64).eps


def with_x(case, change):
    x = case.x.copy()
    change(x)
    return dataclasses.replace(case, x=x)


def with_infer(infer):
    return Kernel(NUMPY.forward, NUMPY.backward, infer, name="infers")


def y_of(case):
    return NUMPY.forward(case.x, case.gamma, case.beta, case.problem.epsilon)[0]


def judged(case, y):
    (finding,) = accuracy.judge(NUMPY, case, {"y": y})
    return finding


def magnitude_of_y(case):
    """The sizes of the terms of y, and what moving the mean by a rounding of rms(x) adds; float64."""
    mean, var = case.x.mean(SAMPLES)[:, None], case.x.var(SAMPLES)[:, None]
    gamma, inv_std = np.abs(case.gamma)[:, None], 1 / np.sqrt(var + case.problem.epsilon)
    plain = gamma * np.abs(case.x - mean) * inv_std + np.abs(case.beta)[:, None]
    return plain, gamma * np.sqrt(mean**2 + var) * inv_std


def test_all_that_a_kernel_computes_is_judged(make_case):
    case = make_case("6x5")
    assert [f.array for f in accuracy.check(NUMPY, case)] == [
        *("y", "mean", "var", "inv_std", "dx", "dgamma", "dbeta", "infer", *accuracy.GRADIENTS_OF_INFERENCE)
    ]  # fmt: skip
    assert [f.array for f in accuracy.judge(NUMPY, case, {"y": y_of(case)})] == ["y"]


def test_statistics_are_judged_one_a_feature(make_case):
    case = make_case("6x5")

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        inv_std = saved.inv_std.copy()
        inv_std[3] *= 1.5
        return y, saved._replace(mean=saved.mean[:, None], inv_std=inv_std)

    right = NUMPY.forward(case.x, case.gamma, case.beta, case.problem.epsilon)[1]
    found = accuracy.statistics(forward(case.x, case.gamma, case.beta, case.problem.epsilon)[1], case)
    assert [array.shape for array in found.values()] == [(5,), (5,), (5,)]
    mean, var, inv_std = accuracy.judge(NUMPY, case, found)
    assert (mean.verdict, mean.checked, mean.total) == (Verdict.PASS, 5, 5)
    assert (var.verdict, var.checked, var.total) == (Verdict.PASS, 5, 5)
    assert (inv_std.verdict, inv_std.index, inv_std.wrong_features) == (Verdict.WRONG, (3,), (3,))
    assert inv_std.actual == 1.5 * right.inv_std[3]
    assert inv_std.expected == pytest.approx(right.inv_std[3])


def test_a_var_without_an_inv_std_may_be_anything(make_case):
    case = make_case("6x5")
    _, saved = NUMPY.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    shown = types.SimpleNamespace(mean=saved.mean, var=saved.inv_std)
    assert list(accuracy.statistics(shown, case)) == ["mean"]
    shown = types.SimpleNamespace(var=saved.var.astype(object), inv_std=saved.inv_std)
    assert list(accuracy.statistics(shown, case)) == ["inv_std"]


def test_the_error_is_relative_to_the_terms_and_what_a_rounded_mean_moves(make_case):
    case = make_case("9x4/eps=0.5", mean=30.0)
    y = y_of(case)
    y[7, 2] += 0.25
    plain, moved = magnitude_of_y(case)
    finding = judged(case, y)
    assert finding.error == pytest.approx(0.25 / (plain[7, 2, 0] + moved[2, 0]))
    assert finding.plain_error == pytest.approx(0.25 / max(plain[7, 2, 0], plain[:, 2].mean()))
    assert (finding.verdict, finding.reason) == (Verdict.WRONG, "")
    assert (finding.index, finding.wrong_features) == ((7, 2), (2,))
    assert finding.budget == tolerance.budget(case.problem)


def test_the_first_of_the_worst_is_named_and_every_wrong_feature(make_case, monkeypatch):
    case = make_case("6x5")
    y = y_of(case)
    y[2, 1] = y[4, 1] = y[0, 3] = np.nan
    monkeypatch.setattr(blocked_reference, "SIZE", 6)
    for block in (6, accuracy.BLOCK):  # one feature at a time, and all together
        monkeypatch.setattr(accuracy, "BLOCK", block)
        finding = judged(case, y)
        assert (finding.verdict, finding.error) == (Verdict.WRONG, np.inf)
        assert finding.wrong_features == (1, 3)
        assert finding.index == ((2, 1) if block == 6 else (0, 3))
        assert np.isnan(finding.actual)
        assert np.isfinite(finding.expected)


def test_what_is_not_expected_to_be_finite_is_not_judged(make_case):
    def poison(x):
        x[3, 1] = np.nan
        x[0, 2] = np.inf

    case = with_x(make_case("6x5"), poison)
    with np.errstate(all="ignore"):
        finding = judged(case, y_of(case))
        assert (finding.verdict, finding.checked, finding.total) == (Verdict.PASS, 18, 30)
        assert 0 <= finding.error <= finding.plain_error < 1e-14
        assert finding.wrong_features == ()
        alone = case.select(np.array([1]))
        nothing = judged(alone, y_of(alone))
    assert (nothing.verdict, nothing.error, nothing.index) == (Verdict.UNDECIDED, np.inf, ())
    assert nothing.reason == "no element is expected to be finite"
    assert np.isnan([nothing.actual, nothing.expected]).all()


@np.errstate(invalid="ignore")
def test_what_no_number_of_the_dtype_is_near_is_rightly_infinite(make_case):
    case = make_case("9x4/float16")
    large = dataclasses.replace(case, dy=np.full_like(case.dy, 3e4))
    infinite = {"dbeta": np.full(4, np.inf, np.float16)}
    (dbeta,) = accuracy.judge(NUMPY, large, infinite)
    assert (dbeta.verdict, dbeta.wrong_features) == (Verdict.PASS, ())
    for wrong in (np.array([np.inf, -np.inf, np.inf, np.inf]), np.array([np.inf, np.nan, np.inf, np.inf])):
        (dbeta,) = accuracy.judge(NUMPY, large, {"dbeta": wrong.astype(np.float16)})
        assert (dbeta.verdict, dbeta.wrong_features) == (Verdict.WRONG, (1,))
    (dbeta,) = accuracy.judge(NUMPY, case, infinite)
    assert (dbeta.verdict, dbeta.wrong_features) == (Verdict.WRONG, (0, 1, 2, 3))
    assert accuracy.differ(large, infinite, infinite) == []
    assert accuracy.differ(large, infinite, {"dbeta": -infinite["dbeta"]}) == ["dbeta"]


def test_no_budget_hides_a_dx_of_0(make_case):
    pytest.importorskip("ml_dtypes")
    case = make_case("20000x1/bfloat16")
    dx, *_ = REFERENCE.backward(case.dy, REFERENCE.forward(case.x, case.gamma, case.beta, case.problem.epsilon)[1])
    (right,), (wrong,) = (accuracy.judge(REFERENCE, case, {"dx": array}) for array in (dx, np.zeros_like(dx)))
    assert (right.verdict, wrong.verdict) == (Verdict.PASS, Verdict.WRONG)
    assert wrong.plain_error > tolerance.HIDING


@pytest.mark.skipif(not WIDER, reason="long double is no wider than float64 here")
def test_what_is_expected_is_wider_than_what_is_judged(make_case):
    # Else the reference, rounded, would differ from itself by nothing.
    rounded = [f for f in accuracy.check(REFERENCE, make_case("9x4")) if f.array not in accuracy.STATISTICS]
    assert [f.array for f in rounded if not 0 < f.error < 2**-52] == []


def test_an_error_as_large_as_the_budget_passes(make_case, monkeypatch):
    case = make_case("6x5")
    exact = np.empty(case.x.shape, np.longdouble)
    REFERENCE.forward(case.x, case.gamma, case.beta, case.problem.epsilon, out=exact)
    monkeypatch.setattr(tolerance, "budget", lambda problem, array: 0.0)
    finding = judged(case, exact)
    assert (finding.error, finding.verdict, finding.wrong_features) == (0, Verdict.PASS, ())
    assert judged(case, y_of(case)).verdict is Verdict.WRONG


def test_where_rounding_may_hide_a_percent_a_verdict_says_so(make_case):
    case = make_case("64x5/float32/eps=1e-05", mean=1e5)
    plain, moved = magnitude_of_y(dataclasses.replace(case, x=case.x.astype(np.float64)))
    y = np.empty(case.x.shape)
    REFERENCE.forward(case.x, case.gamma, case.beta, case.problem.epsilon, out=y)
    for share, verdict in ((0.009, Verdict.PASS), (0.025, Verdict.UNDECIDED)):
        off = y.copy()
        off[11, 3, 0] += share * plain[11, 3, 0]
        assert share * plain[11, 3, 0] < tolerance.budget(case.problem) * (plain[11, 3, 0] + moved[3, 0])
        finding = judged(case, off)
        assert finding.verdict is verdict
        assert (finding.reason == "") is (verdict is Verdict.PASS)
    assert finding.reason == (
        "it is off by 2.5%: a mistake, or rounding, since rms(x) is 1.3e+05 times the deviation; "
        "use data nearer to 0, or a wider type than float32"
    )


def test_two_that_are_both_judged_may_differ_by_the_budgets_of_both(make_case):
    case = make_case("9x4", mean=30.0)
    first = {"y": y_of(case), "dbeta": case.dy.sum(SAMPLES)}
    plain, moved = magnitude_of_y(case)
    for budgets, wrong in ((1.9, []), (2.1, ["y"])):
        second = {"y": first["y"].copy(), "dbeta": first["dbeta"]}
        second["y"][5, 2] += budgets * tolerance.budget(case.problem) * (plain[5, 2, 0] + moved[2, 0])
        assert accuracy.differ(case, first, second) == wrong
        assert accuracy.differ(case, second, first) == wrong
    second["dbeta"] = np.full(4, np.nan)
    second["y"] = first["y"]
    assert accuracy.differ(case, first, second) == accuracy.differ(case, second, first) == ["dbeta"]
    assert accuracy.differ(case, second, second) == []


def test_inference_is_asked_with_statistics_far_from_the_batchs(make_case):
    asked = []

    def infer(x, gamma, beta, mean, var, epsilon):
        asked.append((mean, var))
        return NUMPY.infer(x, gamma, beta, mean, var, epsilon)

    def constant(x):
        x[:, 1], x[:, 2] = 0.25, -8

    case = with_x(make_case("12x3", mean=3.0, std=0.5), constant)
    (finding,) = accuracy.check_inference(with_infer(infer), case)
    assert finding.verdict is Verdict.PASS
    (mean, var), spread = asked[0], np.array([case.x[:, 0].std(), 1, 8])
    np.testing.assert_allclose(mean, case.x.mean(SAMPLES) + spread / 2)
    np.testing.assert_allclose(var, (2 * spread) ** 2)


def test_the_error_of_inference_is_relative_to_its_terms(make_case):
    given = {}

    def infer(x, gamma, beta, mean, var, epsilon):
        y = NUMPY.infer(x, gamma, beta, mean, var, epsilon)
        y[5, 1] += 0.25
        given.update(mean=mean[1], inv_std=1 / np.sqrt(var[1] + epsilon))
        return y

    case = make_case("9x4/eps=0.5", mean=30.0)
    (finding,) = accuracy.check_inference(with_infer(infer), case)
    size = np.abs(case.gamma[1]) * given["inv_std"]
    terms = size * np.abs(case.x[:, 1, 0]) + np.abs(case.beta[1])
    plain, moved = terms[5], size * np.abs(given["mean"])
    assert finding.error == pytest.approx(0.25 / (plain + moved))
    assert finding.plain_error == pytest.approx(0.25 / max(plain, terms.mean()))
    assert (finding.array, finding.verdict, finding.index) == ("infer", Verdict.WRONG, (5, 1))
    assert finding.wrong_features == (1,)
    assert (finding.checked, finding.total) == (36, 36)
