"""What a wrong kernel does instead: which of its features differ, and in what."""

import dataclasses

import numpy as np
import pytest

from bncli.core.kernel import Kernel
from bncli.loading.registry import load_kernel
from bncli.verification import accuracy, explanation
from bncli.verification.finding import Finding, Verdict

NUMPY = load_kernel("numpy")


def wrong(array, *features, verdict=Verdict.WRONG, method="reference"):
    return Finding("k", array, method, verdict, 1.0, 0.1, wrong_features=features)


@pytest.fixture
def asked(monkeypatch):
    """What the diagnosis is asked."""
    calls = []

    def diagnose(*arguments):
        calls.append(arguments)
        return dict.fromkeys(arguments[2], ("diagnosed",))

    monkeypatch.setattr(explanation, "diagnose", diagnose)
    return calls


def never(*_):
    raise AssertionError("nothing is to be run")


@pytest.mark.parametrize(
    "finding",
    [
        wrong("dx", 1, verdict=Verdict.PASS),
        wrong("dx", 1, verdict=Verdict.UNDECIDED),
        wrong("dx", 1, method="central"),
        wrong("mean", 1),
    ],
)
def test_only_what_the_reference_calls_wrong_is_diagnosed(make_case, asked, finding):
    assert explanation.explain(Kernel(never, never), make_case("6x5"), [finding]) == {}
    assert asked == []


def test_all_arrays_of_the_features_are_handed_over(make_case, asked):
    case = make_case("6x5")
    found = explanation.explain(NUMPY, case, [wrong("dx", 3), wrong("y"), wrong("dbeta", 1)])
    assert found == {"dx": ("diagnosed",), "y": ("diagnosed",), "dbeta": ("diagnosed",)}
    ((part, actual, names, features, problem, _),) = asked
    assert part is case  # all five features are so few that they all are looked at
    assert (names, features.tolist(), problem) == (("dx", "y", "dbeta"), [0, 1, 2, 3, 4], case.problem)
    y, saved = NUMPY.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    right = dict(zip(("y", "dx", "dgamma", "dbeta"), (y, *NUMPY.backward(case.dy, saved)), strict=True))
    assert list(actual) == list(right)
    for name, array in right.items():
        np.testing.assert_array_equal(actual[name], array)


@pytest.mark.parametrize("limit", [1, 5, 6, 12, 18, 29, 36, 60])
def test_of_many_features_the_wrong_ones_come_first(make_case, asked, monkeypatch, limit):
    monkeypatch.setattr(explanation, "DIAGNOSED", limit)
    case = make_case("6x10x1/channels-first")
    explanation.explain(NUMPY, case, [wrong("dx", 9, 8), wrong("dgamma", 8, 3, 7)])
    ((part, actual, _, features, problem, _),) = asked
    expected = sorted([9, 8, 3, 7, 0, 1, 2, 4, 5, 6][: max(1, limit // 6)])
    assert features.tolist() == expected
    np.testing.assert_array_equal(part.x, case.x[:, expected])
    assert {name: array.shape for name, array in actual.items()} == {
        "y": (6, len(expected), 1),
        "dx": (6, len(expected), 1),
        "dgamma": (len(expected),),
        "dbeta": (len(expected),),
    }
    np.testing.assert_array_equal(actual["dbeta"], case.dy.sum((0, 2))[expected])
    assert problem == case.problem


def test_backward_is_not_run_where_y_alone_is_wrong(make_case, asked):
    explanation.explain(Kernel(NUMPY.forward, never), make_case("6x5"), [wrong("y", 1)])
    assert list(asked[0][1]) == ["y"]


def test_a_kernel_that_then_raises_is_not_explained(make_case, asked):
    case = make_case("6x5")
    assert explanation.explain(Kernel(NUMPY.forward, never), case, [wrong("y", 1), wrong("dx", 1)]) == {}
    assert asked == []


def test_what_is_said_is_the_diagnosis(make_case):
    case = make_case("6x5")

    def backward(dy, saved):
        dx, dgamma, dbeta = NUMPY.backward(dy, saved)
        dx[:, 2] = 0
        return dx, dgamma, dbeta

    kernel = dataclasses.replace(NUMPY, backward=backward)
    found = explanation.explain(kernel, case, accuracy.check(kernel, case))
    assert found == {"dx": ("dx is wrong only in 1 of 5 features: 2", "there it is 0")}
