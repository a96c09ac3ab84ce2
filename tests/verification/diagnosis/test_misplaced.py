"""Values that belong to another sample, feature or position, and values that are not finite."""

import numpy as np
import pytest

from bncli.core.problem import Problem
from bncli.verification.diagnosis import diagnose
from right_values import copy, diagnosed


def test_features_that_hold_anothers_values_are_named(right):
    r = right("6x4x3/eps=0.01")
    for array in ("dx", "y", "dgamma", "dbeta"):
        values = getattr(r, array)
        assert diagnosed(r.case, array, values[:, [0, 1, 4, 3, 2, *range(5, 12)]]) == (
            f"2 of the 12 features hold {array} of another: (0, 2) that of (1, 1) and (1, 1) that of (0, 2)",
        )
        assert diagnosed(r.case, array, values[:, [3] * 12]) == (f"every feature holds {array} of feature (1, 0)",)
        assert diagnosed(r.case, array, np.roll(values, -1, 1)) == (
            f"{array} is shifted along the features: feature (0, 0) holds that of feature (0, 1)",
        )
    assert diagnosed(r.case, "dx", np.roll(r.dx, 2, 0)) == (
        "dx is shifted along the samples: sample 0 holds that of sample 4",
    )


def test_the_shortest_word_for_an_order_is_told(right):
    r = right("10x2/eps=0.01")
    assert diagnosed(r.case, "y", r.y[:, ::-1]) == (
        "y is shifted along the features: feature 0 holds that of feature 1",
    )
    few, half = np.array(r.y), np.array(r.y)
    few[[0, 2, 3, 7]] = r.y[[2, 3, 7, 0]]
    assert diagnosed(r.case, "y", few) == (
        "4 of the 10 samples hold y of another: 0 that of 2, 2 that of 3, 3 that of 7 and 7 that of 0",
    )
    # Elements, and not whole samples: half of them at least, for sorting hides fewer.
    few, half = np.array(r.y), np.array(r.y)
    few[:9, 0] = np.roll(r.y[:9, 0], 1)
    half[:, 0] = np.roll(r.y[:, 0], 1, 0)
    shuffled = "the values of y are right, but in another order"
    assert diagnosed(r.case, "y", few) != (shuffled,)
    assert diagnosed(r.case, "y", half) == (shuffled,)


@pytest.mark.parametrize("axes", [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_every_order_of_the_axes_is_named(right, axes):
    r = right("6x4x5/channels-first/float32/eps=0.01")
    order = ", ".join(("outer", "feature", "inner")[axis] for axis in axes)
    for name in ("y", "dx"):
        values = getattr(r, name).transpose(axes).reshape(r.x.shape)
        says = f"the axes of {name} are transposed: its values lie in the order ({order})"
        assert diagnosed(r.case, name, values) == (says,)


def test_positions_are_told_from_samples(right):
    r = right("6x4x3x5/channels-first/float32/eps=0.01")
    assert diagnosed(r.case, "dx", np.roll(r.dx, 1, 2)) == (
        "dx is shifted along the positions: position (0, 0) holds that of position (2, 4)",
    )
    assert diagnosed(r.case, "y", r.y + 0.05 * np.roll(r.y, -1, 2)) == (
        "positions leak: 0.05 of y of the next position is added to each",
    )


AXIS_OF = {"sample": 0, "feature": 1, "position": 2}


@pytest.mark.parametrize(("kind", "axis"), AXIS_OF.items())
@pytest.mark.parametrize("edge", ["goes round", "gets nothing"])
@pytest.mark.parametrize(("neighbour", "way"), [("previous", 1), ("next", -1)])
def test_what_leaks_from_a_neighbour_is_named(right, kind, axis, edge, neighbour, way):
    r = right("6x4x5/channels-first/eps=0.01")
    for name in ("y", "dx", "dgamma") if kind == "feature" else ("y", "dx"):
        array = getattr(r, name)
        leaks = np.roll(array, way, axis)
        if edge == "gets nothing":
            np.moveaxis(leaks, axis, 0)[0 if way == 1 else -1] = 0
        says = f"{kind}s leak: 0.05 of {name} of the {neighbour} {kind} is added to each"
        assert diagnosed(r.case, name, array + 0.05 * leaks) == (says,)


@pytest.mark.parametrize(("kind", "axis"), AXIS_OF.items())
def test_what_leaks_from_both_neighbours_or_all_is_named(right, kind, axis):
    r = right("6x4x5/channels-first/eps=0.01")
    for name in ("y", "dx", "dgamma") if kind == "feature" else ("y",):  # the mean of dx over samples is 0
        array = getattr(r, name)
        both = np.roll(array, 1, axis) + np.roll(array, -1, axis)
        says = f"{kind}s leak: -0.03 of {name} of both neighbouring {kind}s is added to each"
        assert diagnosed(r.case, name, array - 0.03 * both) == (says,)
        if name != "dgamma":  # whose mean is one number
            says = f"{kind}s leak: 0.03 of the mean of {name} over all {kind}s is added to each"
            assert diagnosed(r.case, name, array + 0.03 * array.mean(axis, keepdims=True)) == (says,)


def test_values_that_are_not_finite_are_located(right):
    r = right("6x4x3/eps=0.01")
    dx, own = copy(r, "dx")
    own[2, 1, 0] = np.nan
    assert diagnosed(r.case, "dx", dx) == ("dx is NaN at 1 of its 72 elements: (2, 1, 0)",)
    own[3, 1, 0] = np.inf
    assert diagnosed(r.case, "dx", dx) == ("dx is NaN or infinite at 2 of its 72 elements: (2, 1, 0) and (3, 1, 0)",)
    dx = r.terms(mean_dy=0)
    dx[:, 5] = np.nan
    assert diagnosed(r.case, "dx", dx) == ("dx is NaN in 1 of 12 features: (1, 2)", "the mean term is missing")
    scattered = np.where(np.arange(72).reshape(6, 12, 1) % 5, np.inf, r.dx)
    assert diagnosed(r.case, "dx", scattered) == ("dx is infinite at 57 of its 72 elements",)


def test_features_of_a_larger_problem_keep_their_numbers(right):
    whole = Problem.parse("6x40x30x2/float32/eps=0.01")
    r = right("6x7/channels-first/float32/eps=0.01")
    numbers = np.array([5, 61, 62, 119, 1200, 1201, 2399])
    dx = r.terms(mean_dy=1 / 2400, x_hat=6 / 2400).astype(np.float32)
    x_hat, mean_dy = diagnose(r.case, {"dx": dx}, ["dx"], numbers, whole)["dx"]
    assert "divided by 2,400, the number of features" in x_hat
    assert "divided by 2,400, the number of features" in mean_dy
    dx = np.array(r.dx, np.float32)
    dx[:, 3] *= 2
    assert diagnose(r.case, {"dx": dx}, ["dx"], numbers, whole)["dx"][0] == (
        "dx is wrong only in 1 of the 7 features examined: (1, 29, 1)"
    )
    dx = np.array(r.dx, np.float32)
    dx[4, 6] += 1
    assert diagnose(r.case, {"dx": dx}, ["dx"], numbers, whole)["dx"] == (
        "dx is wrong only at 1 of its 42 elements: (4, 39, 29, 1)",
    )
    with pytest.raises(ValueError, match="of the 7"):
        diagnose(r.case, {"dx": dx}, ["dx"], numbers)
