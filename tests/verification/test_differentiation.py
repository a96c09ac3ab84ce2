"""Slopes of a forward pass: where it is evaluated, what comes of it, and the error that is allowed for."""

import dataclasses

import numpy as np
import pytest

from bncli.core.kernel import Kernel
from bncli.errors import KernelFault
from bncli.loading.registry import load_kernel
from bncli.verification import tolerance
from bncli.verification.differentiation import Slopes

NUMPY = load_kernel("numpy")
SAMPLES = (0, 2)
DESCRIPTOR = "7x3x4/channels-first/eps=0.125"


def over_samples(array):
    return array.sum(SAMPLES)


@pytest.fixture
def case(make_case):
    return make_case(DESCRIPTOR, mean=2.0, std=3.0)


@pytest.fixture
def direction(case):
    return np.random.default_rng(5).normal(size=case.x.shape)


def recorded(function=None):
    """A kernel whose y is that of batch norm, or ``function`` of x, and what it is called with."""
    calls = []

    def forward(x, gamma, beta, epsilon):
        calls.append((x, gamma, beta))
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        return (function(x) if function else y), saved

    return Kernel(forward, NUMPY.backward, name="recorded"), calls


def sizes(case):
    """Per feature: the deviation with epsilon in it, rms(x) over it, and what dy may make of the roundings of y."""
    mean, var = case.x.mean(SAMPLES), case.x.var(SAMPLES)
    std = np.sqrt(var + case.problem.epsilon)
    x_hat = (case.x - mean[:, None]) / std[:, None]
    amplification = (
        np.sqrt(over_samples(case.dy**2)) + np.abs(over_samples(case.dy)) + np.abs(over_samples(case.dy * x_hat))
    )
    return std, np.sqrt(mean**2 + var) / std, amplification


def rounding_of_y(case, gamma, beta, amplification):
    conditioning = sizes(case)[1]
    return tolerance.budget(case.problem) * (np.abs(gamma) * (1 + conditioning) + np.abs(beta)) * amplification


def rounding_of_dx(case, direction):
    whole = Slopes(NUMPY, case).magnitudes["dx"].whole.astype(float)
    return tolerance.budget(case.problem) * over_samples(np.abs(direction) * whole)


def steps(case):
    """In standard deviations: h**4 / 64, what is left of the Taylor series, is then the roundings over h."""
    amplification = sizes(case)[2]
    size = np.abs(case.gamma) * amplification
    relative = rounding_of_y(case, case.gamma, case.beta, amplification) / np.where(size > 0, size, np.inf)
    return np.clip((64 * 6.6 * relative) ** (1 / 5), 2.0**-10, 2.0**-3)


@pytest.mark.parametrize("mean", [2.0, 1e9])
def test_central_differences_are_taken_at_three_steps(case, direction, mean):
    gamma = case.gamma * [1, 0, 1e-3]
    case = dataclasses.replace(case, x=case.x + mean, gamma=gamma)
    h, std = steps(case), sizes(case)[0]
    assert h[1] == 2.0**-10
    assert bool(h[0] == 2.0**-3) is (mean == 1e9)
    kernel, calls = recorded()
    Slopes(kernel, case).central(direction)
    assert len(calls) == 6
    for k, (x, *parameters) in enumerate(calls):
        at = case.x + (-1) ** k * (h / 2 ** (k // 2) * std)[:, None] * direction
        np.testing.assert_allclose(x - case.x, at - case.x, rtol=1e-6 if mean == 2 else 1e-2, atol=1e-15)
        assert all(given is own for given, own in zip(parameters, (case.gamma, case.beta), strict=True))


def test_central_differences_are_extrapolated_twice_and_the_last_change_is_their_error(case, direction):
    def function(x):
        return np.sin(20 * x)  # bends so much that what is truncated is far above the roundings

    found, (std, _, amplification), h = Slopes(recorded(function)[0], case).central(direction), sizes(case), steps(case)

    def quotient(h):
        step = (h * std)[:, None] * direction
        return over_samples(case.dy * (function(case.x + step) - function(case.x - step))) / (2 * h)

    first, second, third = (quotient(h / 2**k) for k in range(3))
    once, twice = second + (second - first) / 3, third + (third - second) / 3
    value = twice + (twice - once) / 15
    np.testing.assert_allclose(found.value, value / std, rtol=1e-9)
    rounding = 6.6 * rounding_of_y(case, case.gamma, case.beta, amplification) / h
    assert (np.abs(value - twice) > 1e3 * rounding).all()
    np.testing.assert_allclose(found.error, np.abs(value - twice) / std, rtol=1e-3)
    exact = over_samples(case.dy * 20 * np.cos(20 * case.x) * direction)
    assert (np.abs(found.value - exact) < found.error).all()


def test_where_nothing_is_truncated_roundings_are_the_error(case, direction):
    kernel, _ = recorded(lambda x: 0 * x)
    found = Slopes(kernel, case).central(direction)
    rounding = 6.6 * rounding_of_y(case, case.gamma, case.beta, sizes(case)[2]) / steps(case) / sizes(case)[0]
    np.testing.assert_array_equal(found.value, 0)
    np.testing.assert_allclose(found.error, rounding + rounding_of_dx(case, direction), rtol=1e-9)


def test_a_complex_step_is_the_derivative_but_for_the_roundings_of_dx(case, direction):
    kernel, calls = recorded(lambda x: x**3)
    found = Slopes(kernel, case).complex_step(direction)
    ((x, *_),) = calls
    np.testing.assert_array_equal(x.real, case.x)
    np.testing.assert_allclose(x.imag, 2.0**-100 * sizes(case)[0][:, None] * direction)
    np.testing.assert_allclose(found.value, over_samples(case.dy * 3 * case.x**2 * direction), rtol=1e-13)
    np.testing.assert_allclose(found.error, 2 * rounding_of_dx(case, direction))
    with pytest.raises(KernelFault, match="kernel 'recorded': forward returned real y for complex x"):
        Slopes(recorded(lambda x: x.real)[0], case).complex_step(direction)


def test_complex_x_is_taken_where_it_gives_what_central_differences_give(case):
    def taken(function):
        with np.errstate(all="ignore"):
            return Slopes(recorded(function)[0], case).takes_complex()

    def by_feature(good, bad):
        return lambda x: np.concatenate([good(x[:, :2]), bad(x[:, 2:])], 1)

    def wave(x):
        return np.sin(x / 3)

    def absolute(x):
        return np.abs(x / 3) ** 2 + 0 * x

    def lost(x):
        return x * (np.nan if np.iscomplexobj(x) else 1)

    def nothing(x):
        return x * np.nan

    def off(x):
        return x * (1.001 if np.iscomplexobj(x) else 1)

    assert taken(wave)
    assert taken(by_feature(wave, nothing))  # what is NaN either way says nothing
    for bad in (absolute, lost, off):
        assert not taken(bad)
        assert not taken(by_feature(wave, bad))
    assert not taken(lambda x: x.real)


def test_complex_x_is_tried_along_the_same_signs_each_time(case):
    tried = []
    for _ in range(2):
        kernel, calls = recorded()
        assert Slopes(kernel, case).takes_complex()
        tried.append(calls[0][0].imag / (2.0**-100 * sizes(case)[0][:, None]))
    np.testing.assert_array_equal(*tried)
    np.testing.assert_allclose(np.abs(tried[0]), 1)
    assert 0 < (tried[0] > 0).mean() < 1


def test_a_term_is_unseen_where_the_budget_allows_to_lack_it(case):
    slopes, (std, *_) = Slopes(NUMPY, case), sizes(case)
    x_hat = (case.x - case.x.mean(SAMPLES)[:, None]) / std[:, None]
    scale = (np.abs(case.gamma) / std)[:, None]
    terms = {
        "mean": np.abs(case.dy.mean(SAMPLES))[:, None],
        "x_hat": np.abs((case.dy * x_hat).mean(SAMPLES))[:, None] * np.abs(x_hat),
    }
    whole = slopes.magnitudes["dx"].plain
    seen_up_to = {name: float((scale * term / (2 * whole)).max()) for name, term in terms.items()}
    assert slopes.unseen_terms(0.999 * min(seen_up_to.values())) == []
    first, second = sorted(seen_up_to, key=seen_up_to.get)
    assert slopes.unseen_terms(1.001 * seen_up_to[first]) == slopes.unseen_terms(0.999 * seen_up_to[second]) == [first]
    assert slopes.unseen_terms(1.001 * seen_up_to[second]) == ["mean", "x_hat"]


@pytest.mark.parametrize("parameter", ["gamma", "beta"])
def test_slopes_along_parameters_take_steps_as_large_as_these(case, parameter):
    kernel, calls = recorded()
    slopes = Slopes(kernel, case)
    found = slopes.along_gamma() if parameter == "gamma" else slopes.along_beta()
    own = {"gamma": case.gamma, "beta": case.beta}
    h = 1 + np.abs(own[parameter])
    for sign, (x, gamma, beta) in zip((1, -1), calls, strict=True):
        moved = own | {parameter: own[parameter] + sign * h}
        np.testing.assert_array_equal(x, case.x)
        np.testing.assert_array_equal(gamma, moved["gamma"])
        np.testing.assert_array_equal(beta, moved["beta"])
    largest = own | {parameter: np.abs(own[parameter]) + h}
    rounding = rounding_of_y(case, largest["gamma"], largest["beta"], over_samples(np.abs(case.dy)))
    np.testing.assert_allclose(found.error, rounding / h)
    x_hat = (case.x - case.x.mean(SAMPLES)[:, None]) / sizes(case)[0][:, None]
    right = over_samples(case.dy * x_hat) if parameter == "gamma" else over_samples(case.dy)
    np.testing.assert_allclose(found.value, right, rtol=1e-12)
