"""The curve of a kernel's error against |mean| / std."""

import dataclasses

import numpy as np
import pytest

from bncli.core.kernel import Kernel
from bncli.errors import KernelFault
from bncli.loading.registry import load_kernel
from bncli.verification import curve
from bncli.verification.curve import Point

NUMPY = load_kernel("numpy")
SAMPLES = (0, 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_data_are_moved_to_the_asked_ratio(make_case, dtype):
    case = make_case(f"50x3x4/channels-first/{dtype}", mean=7.0, std=3.0)
    moved = curve.offset(case, 1000.0)
    assert moved.x.dtype == dtype
    np.testing.assert_allclose(moved.x.mean(SAMPLES, dtype=float), 1000 * case.x.std(SAMPLES), rtol=1e-5)
    np.testing.assert_allclose(moved.x.std(SAMPLES, dtype=float), case.x.std(SAMPLES), rtol=1e-4)
    np.testing.assert_array_equal(moved.dy, case.dy)
    assert curve.offset(case, 0.0).x.mean(SAMPLES) == pytest.approx([0, 0, 0], abs=1e-5)


def test_an_error_is_relative_to_the_largest_value(make_case):
    case = make_case("9x4")

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        y[5, 2] -= 0.25
        return y, saved

    def backward(dy, saved):
        dx, dgamma, dbeta = NUMPY.backward(dy, saved)
        dx[1, 3] += 0.125
        return dx, dgamma, dbeta

    points = curve.curve(Kernel(forward, backward, name="off"), case)
    assert [point.ratio for point in points] == [10.0**k for k in range(9)]
    for point in points[:4]:
        moved = curve.offset(case, point.ratio)
        y, saved = NUMPY.forward(moved.x, moved.gamma, moved.beta, moved.problem.epsilon)
        assert point.y == pytest.approx(0.25 / np.abs(y).max())
        assert point.dx == pytest.approx(0.125 / np.abs(NUMPY.backward(moved.dy, saved)[0]).max())
        assert point.worst == max(point.y, point.dx)
    assert np.isnan([Point(1.0, 0.5, np.nan).worst, Point(1.0, np.nan, 0.5).worst]).all()


def test_the_curve_of_what_is_right_stays_at_rounding(make_case):
    for point in curve.curve(NUMPY, make_case("64x5"))[:6]:
        assert point.worst < 1e-10


@pytest.mark.skipif(np.finfo(np.longdouble).eps == np.finfo(float).eps, reason="long double is no wider here")
def test_the_values_are_compared_in_a_wider_type(make_case):
    # Else the reference would differ from itself by nothing.
    assert all(0 < min(point.y, point.dx) < 2**-52 for point in curve.curve(load_kernel("reference"), make_case("9x4")))


def test_a_kernel_that_raises_has_no_curve(make_case):
    def backward(dy, saved):
        raise ValueError("no")

    with pytest.raises(KernelFault, match="backward raised ValueError: no"):
        curve.curve(dataclasses.replace(NUMPY, backward=backward), make_case("9x4"))


def test_a_kernel_breaks_down_where_less_than_two_digits_are_left():
    good, at, nan = Point(1.0, 1e-9, 0.0099), Point(10.0, 0.01, 1e-9), Point(100.0, np.nan, np.nan)
    assert curve.breakdown([good]) is None
    assert curve.breakdown([]) is None
    assert curve.breakdown([good, at, nan]) == 10
    assert curve.breakdown([good, nan]) == 100
