"""The invariants: what they call a kernel with, what they expect of it, and what an error is relative to."""

import dataclasses

import numpy as np
import pytest

from bncli.core.kernel import Kernel
from bncli.loading.registry import load_kernel
from bncli.verification import invariants, tolerance
from bncli.verification.finding import Verdict

NUMPY = load_kernel("numpy")
SAMPLES = (0, 2)
OFF = 0.25


def found(kernel, case):
    return {finding.method: finding for finding in invariants.check(kernel, case)}


def magnitude(case, name):
    """What one rounding of each element of y or dx is relative to; float64."""
    x, dy = case.x.astype(float), np.abs(case.dy.astype(float))
    mean, var = x.mean(SAMPLES)[:, None], x.var(SAMPLES)[:, None]
    inv_std = 1 / np.sqrt(var + case.problem.epsilon)
    x_hat, gamma = np.abs(x - mean) * inv_std, np.abs(case.gamma.astype(float))[:, None]
    conditioning = np.sqrt(mean**2 + var) * inv_std
    if name == "y":
        return gamma * (x_hat + conditioning) + np.abs(case.beta.astype(float))[:, None]
    mean_dy, mean_dy_x_hat = dy.mean(SAMPLES)[:, None], (dy * x_hat).mean(SAMPLES)[:, None]
    terms = dy + mean_dy + x_hat * mean_dy_x_hat + conditioning * (x_hat * mean_dy + mean_dy_x_hat)
    return gamma * inv_std * terms


def gridded(case, step=256):
    """The case as it is checked."""
    return dataclasses.replace(case, x=(np.round(case.x * step) / step).astype(case.x.dtype))


class Recorder:
    """Remembers what ``kernel`` is called with; adds ``OFF`` to the element ``at`` of ``array`` in one call of it."""

    def __init__(self, kernel=NUMPY, call=None, array="", at=(2, 1, 0)):
        self.right, self.call, self.array, self.at = kernel, call, array, at
        self.given, self.dys = [], []

    @property
    def kernel(self):
        return Kernel(self.forward, self.backward, name="recorded")

    def _off(self, calls, **arrays):
        if self.array in arrays and calls == self.call:
            array = arrays[self.array] = arrays[self.array].copy()
            array[self.at[: array.ndim] if array.ndim == 3 else self.at[1]] += OFF
        return tuple(arrays.values())

    def forward(self, x, gamma, beta, epsilon):
        y, saved = self.right.forward(x, gamma, beta, epsilon)
        (y,) = self._off(len(self.given), y=y)
        self.given.append((x, epsilon))
        return y, saved

    def backward(self, dy, saved):
        dx, dgamma, dbeta = self.right.backward(dy, saved)
        gradients = self._off(len(self.dys), dx=dx, dgamma=dgamma, dbeta=dbeta)
        self.dys.append(dy)
        return gradients


@pytest.mark.parametrize(("dtype", "step"), [("float64", 256), ("float32", 256), ("float16", 16)])
def test_what_a_kernel_is_called_with_is_exact(make_case, dtype, step):
    case, recorder = make_case(f"12x6/{dtype}"), Recorder(load_kernel("reference"))
    assert list(found(recorder.kernel, case)) == list(invariants.INVARIANTS)
    x, epsilon = gridded(case, step).x, case.problem.epsilon
    assert np.abs(x - case.x).max() <= 0.5 / step
    (shifted, scaled, permuted, doubled), own = (
        [recorder.given[i] for i in (0, 2, 4, 6)],
        [recorder.given[i] for i in (1, 3, 5, 7, 8, 9)],
    )
    np.testing.assert_array_equal(shifted[0] - shifted[0].dtype.type(4), x)
    np.testing.assert_array_equal(scaled[0], 8 * x)
    np.testing.assert_array_equal(np.sort(permuted[0], 0), np.sort(x, 0))
    assert not np.array_equal(permuted[0], x)
    for each, _ in (doubled, *own):
        np.testing.assert_array_equal(each, x)
    assert {each.dtype for each in (*(x for x, _ in recorder.given), *recorder.dys)} == {np.dtype(dtype)}
    assert [each for _, each in recorder.given] == [64 * epsilon if i == 2 else epsilon for i in range(10)]
    order = [int(np.flatnonzero((x == row).all((1, 2)))[0]) for row in permuted[0]]
    np.testing.assert_array_equal(recorder.dys[4], case.dy[order])
    np.testing.assert_array_equal(recorder.dys[6], 2 * case.dy)


def test_a_kernel_is_called_alike_each_time(make_case):
    first, second = Recorder(), Recorder()
    for recorder in (first, second):
        found(recorder.kernel, make_case("12x6"))
    for a, b in zip(first.given, second.given, strict=True):
        np.testing.assert_array_equal(a[0], b[0])


def moved(case):
    return dataclasses.replace(case, x=case.x + 4)


def permuted(case):
    order = np.random.default_rng(0).permutation(case.x.shape[0])
    return dataclasses.replace(case, x=case.x[order], dy=case.dy[order])


# The invariant, which of a kernel's calls is off, and the data whose magnitudes an error in that call is relative to.
PAIRS = {"shift": (0, moved, 1), "scale": (2, lambda case: case, 8), "permutation": (4, permuted, 1)}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("array", ["y", "dx"])
def test_an_error_is_relative_to_what_the_element_is_made_of(make_case, name, array):
    case = make_case("7x5/eps=0.125")
    call, of, factor = PAIRS[name]
    finding = found(Recorder(call=call, array=array).kernel, case)[name]
    size = magnitude(of(gridded(case)), array)[2, 1, 0]
    off = OFF * factor if array == "dx" else OFF
    assert finding.error == pytest.approx(off / size)
    assert (finding.kernel, finding.array, finding.method) == ("recorded", array, name)
    assert (finding.verdict, finding.checked, finding.reason) == (Verdict.WRONG, 35, "")
    assert finding.budget == 2 * tolerance.budget(case.problem)


@pytest.mark.parametrize("name", PAIRS)
def test_of_several_arrays_the_worst_is_named(make_case, name):
    case = make_case("7x5/eps=0.125")
    findings = found(NUMPY, case)
    assert {finding.verdict for finding in findings.values()} == {Verdict.PASS}
    assert all(0 <= finding.error <= finding.budget for finding in findings.values())
    wrong = found(Recorder(call=PAIRS[name][0], array="dbeta").kernel, case)[name]
    assert (wrong.array, wrong.checked) == ("dbeta", 5)
    assert wrong.error == pytest.approx(OFF / np.abs(case.dy).sum(SAMPLES)[1])


def test_linearity_compares_half_of_what_twice_dy_gives(make_case):
    case = make_case("7x5/eps=0.125")
    finding = found(Recorder(call=6, array="dx").kernel, case)["linearity"]
    assert finding.error == pytest.approx(OFF / 2 / magnitude(gridded(case), "dx")[2, 1, 0])
    finding = found(Recorder(call=7, array="dbeta").kernel, case)["linearity"]
    assert finding.error == pytest.approx(OFF / np.abs(case.dy).sum(SAMPLES)[1])
    assert (finding.array, finding.verdict) == ("dbeta", Verdict.WRONG)


def test_the_sum_of_dx_is_relative_to_the_sizes_of_all_of_dx(make_case):
    case = make_case("7x5x3/channels-first/eps=0.125")
    finding = found(Recorder(call=8, array="dx").kernel, case)["sum-dx"]
    assert finding.error == pytest.approx(OFF / magnitude(gridded(case), "dx").sum(SAMPLES)[1], rel=1e-6)
    assert (finding.array, finding.verdict, finding.checked) == ("dx", Verdict.WRONG, 5)


def test_the_sum_of_dx_x_hat_is_what_epsilon_leaves_of_it(make_case):
    case = gridded(make_case("7x5x3/channels-first/eps=0.125"))
    assert found(NUMPY, case)["sum-dx-x_hat"].verdict is Verdict.PASS  # with an epsilon that leaves much
    finding = found(Recorder(call=9, array="dx").kernel, case)["sum-dx-x_hat"]
    _, saved = NUMPY.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    dx = NUMPY.backward(case.dy, saved)[0]
    dx[2, 1, 0] += OFF
    x_hat = (case.x - case.x.mean(SAMPLES)[:, None]) * saved.inv_std[:, None]
    sizes = magnitude(case, "dx") * (1 + np.abs(x_hat)) + magnitude(case, "y") * np.abs(dx / case.gamma[:, None])
    assert finding.error == pytest.approx(OFF * np.abs(x_hat[2, 1, 0]) / sizes.sum(SAMPLES)[1], rel=1e-6)
    assert (finding.array, finding.verdict, finding.checked) == ("dx", Verdict.WRONG, 5)


def test_nan_is_an_infinite_error_and_a_kernel_that_raises_is_wrong(make_case):
    def backward(dy, saved):
        dx, dgamma, dbeta = NUMPY.backward(dy, saved)
        dx[1, 2] = np.nan
        return dx, dgamma, dbeta

    findings = found(Kernel(NUMPY.forward, backward, name="nan"), make_case("7x5"))
    assert {finding.error for finding in findings.values()} == {np.inf}
    assert {(finding.array, finding.verdict) for finding in findings.values()} == {("dx", Verdict.WRONG)}

    def raises(dy, saved):
        raise ValueError("no")

    for name, finding in found(Kernel(NUMPY.forward, raises, name="raises"), make_case("7x5")).items():
        assert (finding.kernel, finding.array, finding.method) == ("raises", "", name)
        assert (finding.verdict, finding.error) == (Verdict.WRONG, np.inf)
        assert finding.reason.startswith("kernel 'raises': backward raised ValueError: no")


def test_where_nothing_is_there_to_be_rounded_nothing_may_differ(make_case):
    # dx then has no magnitude but the smallest: 0 differs from 0 by nothing.
    case = make_case("7x5")
    case = dataclasses.replace(case, dy=np.zeros_like(case.dy))
    assert {finding.verdict for finding in found(NUMPY, case).values()} == {Verdict.PASS}


def test_invariants_suit_data_of_about_the_size_1(make_case):
    for descriptor in ("12x6", "2x6", "3x6/float32"):
        assert invariants.suits(make_case(descriptor))
    case = make_case("12x6")
    for change, suits in (
        ({"x": np.where(np.arange(12)[:, None, None] == 3, 63.9, case.x)}, True),
        ({"x": np.where(np.arange(12)[:, None, None] == 3, -64.0, case.x)}, False),
        ({"x": np.where(np.arange(6)[:, None] == 2, np.nan, case.x)}, False),
        ({"x": np.where(np.arange(12)[:, None, None] == 3, np.inf, case.x)}, False),
        ({"x": np.where(np.arange(6)[:, None] == 2, 0.5, case.x)}, False),
        ({"gamma": np.where(np.arange(6) == 2, 0, case.gamma)}, False),
        ({"x": case.x * (1.01 / 64 / case.x.std(SAMPLES))[:, None]}, True),
        ({"x": case.x * (0.99 / 64 / case.x.std(SAMPLES))[:, None]}, False),
    ):
        assert invariants.suits(dataclasses.replace(case, **change)) is suits
    assert not invariants.suits(make_case("1x6"))
    assert not invariants.suits(make_case("12x6", mean=1e4))
