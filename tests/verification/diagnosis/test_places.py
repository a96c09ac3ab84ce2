"""Where an array is wrong, in the problem's own index."""

import numpy as np
import pytest

from right_values import copy, diagnosed


@pytest.mark.parametrize(
    ("problem", "places", "says"),
    [
        ("6x4x3", [(2, 3, 1)], "at 1 of its 72 elements: (2, 3, 1)"),
        (
            "6x4x3x2/channels-first",
            [(2, 3, 1, 0), (5, 0, 0, 1)],
            "at 2 of its 144 elements: (2, 3, 1, 0) and (5, 0, 0, 1)",
        ),
        ("6x4x3x2/channels-last", [(2, 3, 1, 0)], "at 1 of its 144 elements: (2, 3, 1, 0)"),
        (
            "40x9",
            [(3 * i, i) for i in range(8)],
            "at 8 of its 360 elements, the first at (0, 0)",
        ),
        ("6x4x3", [(..., 3, 1)], "in 1 of 12 features: (3, 1)"),
        ("6x9", [(..., 0), (..., 4), (..., 5)], "in 3 of 9 features: 0, 4 and 5"),
        ("6x9", [(..., slice(0, 7))], "in 7 of 9 features: 0, 1, 2, 3, 4 and 2 more"),
        ("6x4x3x2/channels-first", [(5,)], "at 1 of the 6 indices of axis 0: 5"),
        ("6x4x3x2/channels-last", [(slice(None), slice(None), 2)], "at 1 of the 3 indices of axis 2: 2"),
        (
            "6x4x3x2/channels-first",
            [(..., 1, 0)],
            "at 1 of the 3 indices of axis 2: 1, at 1 of the 2 indices of axis 3: 0",
        ),
        ("6x4x3x7/channels-last", [(3, 1, 2)], "at 1 of 72 samples, index (3, 1, 2) along axes 0, 1 and 2"),
        ("6x4x3x2/channels-first", [(5, 1)], "in 1 of 4 features: 1, at 1 of the 6 indices of axis 0: 5"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_part_that_is_wrong_is_located(right, problem, places, says, dtype):
    r = right(f"{problem}/{dtype}")
    for array in ("dx", "y"):
        values, own = copy(r, array)
        for seed, place in enumerate(places):
            own[place] *= 1.5 + np.random.default_rng(seed).random(np.shape(own[place]))
        sentences = diagnosed(r.case, array, values)
        assert sentences[0] == f"{array} is wrong only {says}"


@pytest.mark.parametrize(
    ("problem", "places", "says"),
    [
        # Up to five elements are listed, and of more the first, unless they fill half of the features and samples.
        ("40x9", [(i, i) for i in range(5)], "at 5 of its 360 elements: (0, 0), (1, 1), (2, 2), (3, 3) and (4, 4)"),
        ("40x9", [(3 * i, i) for i in range(6)], "at 6 of its 360 elements, the first at (0, 0)"),
        (
            "40x9",
            [*((i, i) for i in range(4)), (1, 0), (2, 1), (3, 2)],
            "at 7 of its 360 elements, the first at (0, 0)",
        ),
        (
            "40x9",
            [*((i, i) for i in range(4)), (1, 0), (2, 1), (3, 2), (0, 3)],
            "in 4 of 9 features: 0, 1, 2 and 3, at 4 of the 40 indices of axis 0: 0, 1, 2 and 3",
        ),
        ("6x9", [(slice(0, 4), slice(0, 6))], "in 6 of 9 features: 0, 1, 2, 3, 4 and 1 more, "
         "at 4 of the 6 indices of axis 0: 0, 1, 2 and 3"),
        ("4x1", [(1,)], "at 1 of its 4 elements: (1, 0)"),
        ("4x3", [(..., 1)], "in 1 of 3 features: 1"),
        # Five samples are listed, and of six the indices along each axis.
        (
            "6x4x3x7/channels-last",
            [(i, i % 2, 2) for i in range(5)],
            "at 5 of 72 samples, index (0, 0, 2), (1, 1, 2), (2, 0, 2), (3, 1, 2) and (4, 0, 2) along axes 0, 1 and 2",
        ),
        (
            "6x4x3x7/channels-last",
            [(i, i % 2, 2) for i in range(6)],
            "at 2 of the 4 indices of axis 1: 0 and 1, at 1 of the 3 indices of axis 2: 2",
        ),
        (
            "2x9x2x2/channels-first",
            [(0, slice(None), 1, 1)],
            "at 1 of 8 samples, index (0, 1, 1) along axes 0, 2 and 3",
        ),
        ("2x9x2/channels-last", [(0, 1, 1)], "at 1 of its 36 elements: (0, 1, 1)"),
    ],
)  # fmt: skip
def test_places_are_told_as_briefly_as_they_can_be(right, problem, places, says):
    r = right(problem)
    values, own = copy(r, "y")
    for seed, place in enumerate(places):
        own[place] += 1 + np.random.default_rng(seed).random(np.shape(own[place]))
    assert diagnosed(r.case, "y", values)[0] == f"y is wrong only {says}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_wrong_with_a_part_is_named(right, dtype):
    r = right(f"9x4x3x5/channels-first/{dtype}/eps=0.01")

    def part(array, features, values):
        whole = np.array(getattr(r, array))
        whole[:, list(features)] = values[:, list(features)]
        return diagnosed(r.case, array, whole)

    assert part("dx", (1, 2), r.terms(mean_dy=0)) == (
        "dx is wrong only in 2 of 4 features: 1 and 2",
        "there the mean term is missing",
    )
    assert part("dx", (3,), r.terms(x_hat=1.25)) == (
        "dx is wrong only in 1 of 4 features: 3",
        "there the x_hat term is 1.25 times what it should be",
    )
    assert part("dx", (0, 3), r.dx / r.gamma) == (
        "dx is wrong only in 2 of 4 features: 0 and 3",
        "there gamma is forgotten",
    )
    assert part("dx", (2,), 0 * r.dx) == ("dx is wrong only in 1 of 4 features: 2", "there it is 0")
    assert part("y", (2,), r.y - r.beta) == ("y is wrong only in 1 of 4 features: 2", "there beta is forgotten")
    _, what = part("dx", (2,), np.random.default_rng(0).standard_normal(r.dx.shape))
    assert what.startswith("there dx is not a combination of the terms of the formula: the best fit leaves ")
    assert part("dgamma", (1,), -r.dgamma) == (
        "dgamma is wrong only in 1 of 4 features: 1",
        "there dgamma has the wrong sign",
    )
    assert part("dgamma", (1,), 1.3 * r.dgamma) == (
        "dgamma is wrong only in 1 of 4 features: 1",
        "there dgamma is 1.3 times what it should be",
    )
    for change, says in (
        (lambda a: -a, "it has the wrong sign"),
        (lambda a: 0 * a, "it is 0"),
        (lambda a: 1.5 * a, "it is 1.5 times what it should be"),
        (lambda a: a + 0.25, "0.25 is added to it"),
    ):
        dx = r.dx.copy()
        dx[4] = change(dx[4])
        assert diagnosed(r.case, "dx", dx) == ("dx is wrong only at 1 of the 9 indices of axis 0: 4", f"there {says}")


@pytest.mark.parametrize(
    ("samples", "features", "place", "says_what"),
    [
        (slice(0, 5), slice(0, 2), "in 2 of 4 features: 0 and 1, at 5 of the 8 indices of axis 0: 0, 1, 2, 3 and 4", 1),
        (slice(0, 4), slice(0, 2), "in 2 of 4 features: 0 and 1, at 4 of the 8 indices of axis 0: 0, 1, 2 and 3", 0),
        (slice(0, 5), slice(0, 1), "at 5 of its 32 elements: (0, 0), (1, 0), (2, 0), (3, 0) and (4, 0)", 0),
        (
            slice(0, 6),
            slice(0, 1),
            "in 1 of 4 features: 0, at 6 of the 8 indices of axis 0: 0, 1, 2, 3, 4 and 1 more",
            1,
        ),
        (slice(0, 6), slice(0, 4), "at 6 of the 8 indices of axis 0: 0, 1, 2, 3, 4 and 1 more", 0),
        (slice(0, 2), slice(0, 4), "at 2 of the 8 indices of axis 0: 0 and 1", 0),
    ],
)
def test_garbage_is_measured_in_features_that_are_mostly_wrong(right, samples, features, place, says_what):
    r = right("8x4/eps=0.01")
    dx = np.array(r.dx)
    dx[samples, features] = np.random.default_rng(0).standard_normal(dx[samples, features].shape)
    where, *what = diagnosed(r.case, "dx", dx)
    assert where == f"dx is wrong only {place}"
    assert len(what) == says_what
    for sentence in what:
        assert sentence.startswith("there dx is not a combination of the terms of the formula: the best fit leaves ")
