"""What diagnosis goes by: how far each number may be off, what fits, and the border of each, from both sides.

Figures are worked out by hand, or found by moving one element at a time.
"""

import dataclasses

import numpy as np
import pytest

from bncli.core.problem import Problem
from bncli.verification import tolerance
from bncli.verification._diagnosis.coefficients import Estimate, distinguishable, terms_of
from bncli.verification._diagnosis.evidence import Candidate, Evidence, gather

PROBLEMS = ["5x3/eps=0.5", "4x3x2/channels-first/float32/eps=0.3"]
ARRAYS = ("y", "dx", "dgamma", "dbeta")


def cube(*values):
    """(1, F, 1), a value for each feature."""
    return np.array(values, float).reshape(1, -1, 1)


def estimate(*pairs):
    return Estimate(*(cube(*each) for each in zip(*pairs, strict=True)))


# Estimates: a value and how far off it may be.


def test_what_cannot_be_computed_is_not_known():
    found = Estimate.of(cube(2, np.nan, 3, np.inf), cube(0.5, 0.5, np.inf, 0.5))
    np.testing.assert_array_equal(found.value.ravel(), [2, 0, 0, 0])
    np.testing.assert_array_equal(found.error.ravel(), [0.5, np.inf, np.inf, np.inf])


@pytest.mark.parametrize(
    ("value", "error", "clear"),
    [
        # Up to a twentieth of the value, and of 1 where that is more.
        (1, 0.0499, True), (1, 0.05, False), (0, 0.0499, True), (0.2, 0.0499, True), (0.2, 0.051, False),
        (4, 0.199, True), (4, 0.2001, False), (-4, 0.199, True), (-4, 0.2001, False), (1, np.inf, False),
    ],
)  # fmt: skip
def test_an_estimate_is_clear_up_to_a_twentieth(value, error, clear):
    assert estimate((value, error)).clear.item() is clear


def test_what_is_known_well_is_told_and_else_what_is_known_at_all():
    np.testing.assert_array_equal(estimate((2, 0.01), (3, 0.5), (4, 0.02)).known, [2, 4])
    np.testing.assert_array_equal(estimate((2, 0.4), (3, 0.5), (0, np.inf)).known, [2, 3])


def test_an_estimate_admits_what_is_no_further_than_its_error():
    found = estimate((2, 0.5), (-1, 0.25), (0, np.inf))
    assert found.admits(cube(1.5, -1.25, 77))
    assert found.admits(cube(2.5, -0.75, -77))
    assert not found.admits(cube(1.49, -1, 0))
    assert not found.admits(cube(2, -1.26, 0))
    assert not found.admits(cube(2, -0.74, 0))
    assert not found.admits(2.0)


def test_estimates_are_divided_and_lessened_with_their_errors():
    with np.errstate(divide="ignore"):
        over = estimate((2, 0.5), (3, 0.5), (1, 0.1)).over(cube(-4, 0.5, 0))
    np.testing.assert_array_equal(over.value.ravel(), [-0.5, 6, 0])
    np.testing.assert_array_equal(over.error.ravel(), [0.125, 1, np.inf])
    less = estimate((2, 0.5), (3, 0.25)).less(cube(-4, 0.5))
    np.testing.assert_array_equal(less.value.ravel(), [6, 2.5])
    np.testing.assert_array_equal(less.error.ravel(), [0.5, 0.25])


@pytest.mark.parametrize(
    ("pairs", "common"),
    [
        ([(3, 0.25)], (3, 0.25)),
        ([(1, 0.5), (2, 0.5)], (1.5, 0)),  # they touch
        ([(1, 0.5), (2.01, 0.5)], None),
        ([(1, 0.1), (1.2, 0.2)], (1.04, 0.05)),  # weights 1 and 1/4, in 1 to 1.1
        ([(2, 0), (2.05, 0.1)], (2, 0)),
        ([(2, 0), (2, 0)], (2, 0)),
        ([(2, 0.5), (0, np.inf)], (2, 0.5)),
        ([(0, np.inf), (0, np.inf)], None),
        ([(0, 1), (1.9, 1), (1.9, 1)], (1, 0.05)),  # their mean, 1.27, is not in 0.9 to 1
        ([(0, 1), (0, 1), (1.9, 1)], (0.9, 0.05)),
    ],
)
def test_the_common_value_is_one_that_all_features_admit(pairs, common):
    found = estimate(*pairs).common()
    assert found is None if common is None else found == pytest.approx(common)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", ARRAYS)
def test_a_coefficient_is_off_by_as_much_as_noise_can_move_it(make_case, problem, name):
    case = make_case(problem)
    evidence = evidence_of(case, name, 1.5 * right(case)[name])
    actual = evidence.actual
    least = [0.0] * len(terms_of(evidence))
    for index in np.ndindex(actual.shape[0], actual.shape[2]):
        one = np.zeros_like(actual)
        one[index[0], :, index[1]] = 1
        moved = terms_of(dataclasses.replace(evidence, actual=actual + one))
        for i, (term, before) in enumerate(zip(moved, terms_of(evidence), strict=True)):
            slope = np.abs(term.estimate.value - before.estimate.value)
            least[i] = least[i] + slope * evidence.noise[index[0], :, index[1]].reshape(1, -1, 1)
    for i, (term, most) in enumerate(zip(terms_of(evidence), least, strict=True)):
        # Of what is read off two means the errors add up, and those may partly cancel.
        slack = 3 if name == "dx" and i > 0 else 1
        assert (most <= term.estimate.error * (1 + 1e-6)).all(), term.name
        assert (term.estimate.error <= slack * most * (1 + 1e-6)).all(), term.name


@pytest.mark.parametrize(("apart", "distinguished"), [(1e-11, True), (1e-16, False)])
def test_terms_are_distinguished_as_long_as_rounding_does_not_hide_them(make_case, apart, distinguished):
    case = make_case("9x2")
    centred = case.x - case.x.mean((0, 2), keepdims=True)
    along = 2 + 3 * centred / centred.std((0, 2), keepdims=True)
    other = np.random.default_rng(3).standard_normal(case.x.shape)
    case = dataclasses.replace(case, dy=along + apart * other)
    assert distinguishable(evidence_of(case, "dx", right(case)["dx"])) is distinguished


# Evidence: what rounding explains.


def right(case):
    """The four arrays, from their definitions."""
    x, dy = case.x.astype(np.longdouble), case.dy.astype(np.longdouble)
    gamma, beta = case.gamma.reshape(1, -1, 1), case.beta.reshape(1, -1, 1)
    average = {"axis": (0, 2), "keepdims": True}
    centred = x - x.mean(**average)
    std = np.sqrt((centred**2).mean(**average) + case.problem.epsilon)
    x_hat = centred / std
    dx = gamma / std * (dy - dy.mean(**average) - x_hat * (dy * x_hat).mean(**average))
    sums = {"dgamma": (dy * x_hat).sum((0, 2)), "dbeta": dy.sum((0, 2))}
    return {"y": gamma * x_hat + beta, "dx": dx, **sums}


def evidence_of(case, name, values, *arguments):
    return gather(case, {name: np.asarray(values, case.problem.dtype)}, *arguments)[name]


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", ARRAYS)
def test_the_evidence_is_what_was_returned_and_what_should_have_been(make_case, problem, name):
    case = make_case(problem)
    values = np.asarray(-3 * right(case)[name], case.problem.dtype)
    evidence = evidence_of(case, name, values)
    shape = values.shape if values.ndim == 3 else (1, values.size, 1)
    np.testing.assert_array_equal(evidence.actual, values.reshape(shape))
    np.testing.assert_allclose(evidence.expected, right(case)[name].reshape(shape).astype(float), rtol=1e-13)
    assert {evidence.actual.dtype, evidence.expected.dtype, evidence.noise.dtype} == {np.dtype(float)}
    assert evidence.budget == tolerance.budget(case.problem)
    # What it is made of, and what it is: its size and, of the feature, its mean size.
    size = np.abs(evidence.actual)
    larger = size + size.mean((0, 2), keepdims=True)
    np.testing.assert_allclose(evidence.noise - evidence.allowed, evidence.budget * larger, rtol=1e-9)


def test_what_is_not_finite_makes_no_noise_elsewhere(make_case):
    case = make_case("5x3")
    dx = right(case)["dx"].astype(float)
    plain = evidence_of(case, "dx", dx)
    dx[2, 1] = np.inf
    dx[3, 2] = np.nan
    broken = evidence_of(case, "dx", dx)
    assert np.isfinite(broken.noise).sum() == 13
    finite = np.isfinite(broken.noise)
    assert (broken.noise[finite] <= plain.noise[finite]).all()
    np.testing.assert_array_equal(broken.noise[:, 0], plain.noise[:, 0])


def test_only_features_that_should_be_finite_are_judged(make_case):
    case = make_case("5x3")
    x = case.x.copy()
    x[2, 1] = np.nan
    hurt = dataclasses.replace(case, x=x)
    with np.errstate(all="ignore"):
        evidence = evidence_of(hurt, "dx", right(case)["dx"])
    np.testing.assert_array_equal(evidence.actual, right(case)["dx"].astype(float)[:, [0, 2]])
    assert evidence.facts.numbers.tolist() == [0, 2]


@pytest.mark.parametrize("numbers", [[0, 1], [0, 1, 2, 3], [-1, 0, 1], [0, 1, 9]])
def test_features_that_are_none_of_the_problem_are_refused(make_case, numbers):
    case, problem = make_case("5x3"), Problem.parse("5x9")
    with pytest.raises(ValueError, match=f"{len(numbers)} features up to {max(numbers)}: give 3, of the 9"):
        gather(case, {"dx": case.dy}, np.array(numbers), problem)
    assert evidence_of(case, "dx", case.dy, np.array([0, 1, 8]), problem).facts.numbers.tolist() == [0, 1, 8]


@pytest.fixture
def off(make_case):
    """off(*errors) -> evidence of as many elements of one feature, off by ``errors`` where 1 is allowed and 2 noise."""

    def make(*errors):
        case = make_case(f"{len(errors)}x1")
        evidence = evidence_of(case, "dx", right(case)["dx"])
        whole = np.ones_like(evidence.actual)
        actual = np.array(errors, float).reshape(whole.shape)
        return dataclasses.replace(evidence, actual=actual, expected=0 * whole, allowed=whole, noise=2 * whole)

    return make


def test_an_element_is_wrong_past_what_is_allowed_and_informative_past_the_noise(off):
    evidence = off(1, -1, 1.01, -1.01, 2, -2, 2.01, -2.01, np.nan, 0)
    assert evidence.wrong.ravel().tolist() == [False, False, *[True] * 7, False]
    assert evidence.informative == 2
    assert evidence.wrong_features.tolist() == [True]
    assert off(1, -1, 0).wrong_features.tolist() == [False]


def test_a_prediction_fits_within_the_noise_or_within_what_its_size_is_allowed(off):
    evidence = off(5, 5)
    fits = {value: evidence.fits(np.full((2, 1, 1), value)) for value in (2.99, 3.0, 7.0, 7.01)}
    assert fits == {2.99: False, 3.0: True, 7.0: True, 7.01: False}
    assert evidence.fits(np.full((2, 1, 1), 2.0), 3.0)
    assert not evidence.fits(np.full((2, 1, 1), 1.9), 3.0)
    assert evidence.fits(np.full((2, 1, 1), 3.0), 0.5)  # of smaller terms no less is asked than noise
    assert not evidence.fits(np.array([5.0, 1.0]).reshape(2, 1, 1))  # all have to


def test_what_is_left_is_measured_in_noise(off):
    evidence = off(6, 8, 1)
    assert evidence.misfit(np.zeros((3, 1, 1))) == pytest.approx(np.sqrt((9 + 16 + 0.25) / 3))
    assert evidence.misfit(np.array([4.0, 8.0, 1.0]).reshape(3, 1, 1)) == pytest.approx(np.sqrt(1 / 3))
    finer = dataclasses.replace(evidence, noise=evidence.noise / 8)
    assert finer.misfit(np.zeros((3, 1, 1))) == pytest.approx(8 * np.sqrt((9 + 16 + 0.25) / 3))
    without = dataclasses.replace(evidence, noise=np.array([2.0, 0.0, 2.0]).reshape(3, 1, 1))
    assert without.misfit(np.zeros((3, 1, 1))) == pytest.approx(np.sqrt((9 + 0.25) / 3))


def test_a_later_explanation_is_better_if_it_leaves_less_than_half(off):
    evidence = off(0, 0)

    def best(*left):
        candidates = [Candidate((f"{each:g}",), np.full((2, 1, 1), each)) for each in left]
        return evidence.explained_by(candidates)

    assert best(2.0, 1.0) == ("2",)
    assert best(2.0, 0.99) == ("0.99",)
    assert best(2.0, 0.99, 0.5) == ("0.99",)
    assert best(2.0, 1.5, 0.99, 0.4) == ("0.4",)
    assert best(2.1, 2.0) == ("2",)  # the first does not fit at all
    assert best(2.1) == ()
    assert best() == ()
    assert evidence.explained_by([Candidate(("large",), np.full((2, 1, 1), 3.0), 3.0)]) == ("large",)


@pytest.mark.parametrize("chosen", [np.array([True, False, True]), np.array([2, 0])])
def test_taking_features_takes_them_from_every_array(make_case, chosen):
    case = make_case("5x3")
    evidence = evidence_of(case, "dx", 2 * right(case)["dx"])
    part = evidence.take(chosen)
    assert isinstance(part, Evidence)
    for name in ("actual", "expected", "allowed", "noise"):
        np.testing.assert_array_equal(getattr(part, name), getattr(evidence, name)[:, chosen])
    for name in ("x", "dy", "centred", "x_hat", "gamma", "beta", "mean", "var", "inv_std"):
        np.testing.assert_array_equal(getattr(part.facts, name), getattr(evidence.facts, name)[:, chosen])
    np.testing.assert_array_equal(part.facts.numbers, np.arange(3)[chosen])
    assert part.facts.features == 3  # those of the whole problem
