"""Judged block by block, a kernel has the findings of the whole batch."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from bncli.core.kernel import Gradients
from bncli.core.problem import Problem
from bncli.core.source import draw
from bncli.loading.registry import load_kernel
from bncli.verification import accuracy, blocked_reference, tolerance

NUMPY = load_kernel("numpy")
SHAPES = ("6x5", "40x3/channels-first", "6x7x3x4/channels-first", "2x3x3x5/channels-last")
DATA = ("normal", "offset-1e6", "constant", "outlier", "tiny", "nan")


def both(check, monkeypatch, size):
    """The findings on the whole, and those in blocks of ``size`` elements."""
    with np.errstate(all="ignore"):
        whole = check()
        monkeypatch.setattr(accuracy, "BLOCK", 0)
        monkeypatch.setattr(blocked_reference, "SIZE", size)
        return zip(whole, check(), strict=True)


def require_same(first, second):
    for name in (field.name for field in fields(first)):
        own, its = getattr(first, name), getattr(second, name)
        if isinstance(own, float):
            assert its == pytest.approx(own, rel=1e-6, abs=1e-15, nan_ok=True), (first.array, name)
        elif name != "index":  # of two elements that differ by rounding, either may be the worst
            assert its == own, (first.array, name)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_right_kernel_has_the_findings_of_the_whole(shape, data, monkeypatch):
    case = draw(data, Problem.parse(f"{shape}/float32"), 1)
    for whole, blocked in both(lambda: accuracy.check(NUMPY, case), monkeypatch, 7):
        require_same(whole, replace(blocked, actual=whole.actual, expected=whole.expected))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["y", *Gradients._fields, "infer", *accuracy.GRADIENTS_OF_INFERENCE])
def test_a_wrong_element_has_its_place_and_its_error(name, dtype, monkeypatch):
    case = draw("normal", Problem.parse(f"6x7x3x4/channels-first/{dtype}"), 1)

    def wrong(array, of):
        if of == name:
            array[(3, 5, 2) if array.ndim == 3 else 5] += 3.0
        return array

    def forward(*given):
        y, saved = NUMPY.forward(*given)
        return wrong(y, "y"), saved

    def backward(dy, saved):
        return [wrong(array, of) for of, array in Gradients(*NUMPY.backward(dy, saved))._asdict().items()]

    def infer_backward(dy, saved):
        found = NUMPY.infer_backward(dy, saved)
        return [wrong(array, of) for of, array in zip(accuracy.GRADIENTS_OF_INFERENCE, found, strict=True)]

    def infer(*given):
        return wrong(NUMPY.infer(*given), "infer")

    kernel = replace(NUMPY, forward=forward, backward=backward, infer=infer, infer_backward=infer_backward)
    found = {each.array: (each, other) for each, other in both(lambda: accuracy.check(kernel, case), monkeypatch, 7)}
    whole, blocked = found[name]
    require_same(whole, blocked)
    assert blocked.verdict.fails
    assert blocked.wrong_features == (5,)
    assert blocked.index == whole.index == ((3, 5, 0, 2) if len(whole.index) == 4 else (5,))


def test_statistics_and_sums_serve_y_and_the_gradients(make_case, monkeypatch):
    monkeypatch.setattr(accuracy, "BLOCK", 0)
    case, asked = make_case("6x5"), []
    moments = blocked_reference.array_statistics.moments

    def counted(x, dtype):
        asked.append(dtype)
        return moments(x, dtype)

    monkeypatch.setattr(blocked_reference.array_statistics, "moments", counted)
    kernel = replace(NUMPY, infer=None, infer_forward=None, infer_backward=None)
    assert {finding.verdict for finding in accuracy.check(kernel, case)} == {"PASS"}
    assert asked == [np.dtype(np.longdouble)]


def test_the_average_of_all_samples_is_that_of_each_block(make_case):
    case = make_case("9x4/float32", mean=3.0)
    reference = blocked_reference.Training(case)
    with np.errstate(all="ignore"):
        found = [next(reference.expected(piece)) for piece in reference.pieces(("y", "dx"))]
    _, saved = load_kernel("reference").forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    sizes = tolerance.magnitudes(case.dy, saved, case.beta, "float32")
    for name, _, _, magnitude in found:
        np.testing.assert_allclose(magnitude.average, sizes[name].plain.mean((0, 2))[:, None], rtol=1e-12)
        assert math.isfinite(float(magnitude.usual.max()))


def test_other_statistics_of_huge_and_of_tiny_x_are_finite():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 1, 1)) * np.array([1e-300, 1.0, 1e160, 4e307])[:, None]
    case = replace(draw("normal", Problem.parse("40x4"), 1), x=x)
    with np.errstate(all="ignore"):
        mean, var = accuracy.other_statistics(case)
    assert np.isfinite([mean, var]).all()
    assert (np.abs(mean) < [1.5, 2, 2e160, 8e307]).all()
    assert (var[0], var[1]) == pytest.approx((np.finfo(float).smallest_normal, 4 * x[:, 1].var()))
