"""What becomes of gradients beside slopes: the verdict, the worst, and what cannot be judged."""

import numpy as np
import pytest

from bncli.loading.registry import load_kernel
from bncli.verification.differentiation import Slope
from bncli.verification.finding import Verdict
from bncli.verification.slope_judge import Comparison, SlopeJudge

FEATURES = np.array([1, 4])
SHAPE = "6x5x2/channels-first"


@pytest.fixture
def judge(make_case):
    """judge(comparisons, array="dx", problem=SHAPE): a finding on two of the features of a case."""

    def make(comparisons, array="dx", problem=SHAPE):
        case = make_case(problem)
        return SlopeJudge(load_kernel("numpy"), case, FEATURES).finding(array, "some method", comparisons)

    return make


def compared(actual, expected, allowed, sample=None):
    """Of two features each; ``sample`` is the one that was moved."""
    actual, expected, allowed = (np.array(each, float) for each in (actual, expected, allowed))
    return Comparison(actual, Slope(expected, allowed), None if sample is None else np.full(2, sample))


RIGHT = compared([1, -2], [1, -2.001], [0.002, 0.002], sample=0)


def test_the_worst_is_named_in_the_numbering_of_the_whole_case(judge):
    finding = judge([RIGHT, compared([5, 7], [4, 7], [0.1, 0.1], sample=3), compared([1, 3], [1, 2], [0.01, 0.01])])
    assert (finding.kernel, finding.array, finding.method) == ("numpy", "dx", "some method")
    assert (finding.verdict, finding.reason) == (Verdict.WRONG, "")
    # A direction is further off, but an element says more; sample 3 is the first outer one's second inner one.
    assert finding.index == (1, 1, 1)
    assert (finding.actual, finding.expected) == (5, 4)
    assert finding.error == pytest.approx(1 / 7)
    assert finding.budget == pytest.approx(0.1 / 7)
    assert (finding.checked, finding.total) == (4, 60)
    assert finding.wrong_features == (1, 4)


def test_where_directions_alone_are_wrong_the_worst_of_them_is_named(judge):
    near, far = compared([1.1, 3], [1, 3], [0.05, 0.02]), compared([1, 3.5], [1, 3], [0.02, 0.02])
    for comparisons in ([RIGHT, near, far], [near, far, RIGHT], [near, far]):
        finding = judge(comparisons)
        assert (finding.verdict, finding.index) == (Verdict.WRONG, ())
        assert (finding.actual, finding.expected) == (3.5, 3)
        assert finding.wrong_features == (1, 4)
        assert finding.checked == 2  # one sample of each, or directions alone


def test_where_all_is_right_the_worst_element_is_named(judge):
    finding = judge(
        [RIGHT, compared([1, 3.0003], [1, 3], [0.001, 0.001], 11), compared([1, 3], [1, 2.999], [0.001] * 2)]
    )
    assert (finding.verdict, finding.reason, finding.wrong_features) == (Verdict.PASS, "", ())
    assert finding.index == (0, 4, 0)
    assert finding.error == pytest.approx(0.001 / 3)
    assert finding.budget == pytest.approx(0.002 / 3)
    directions = [compared([1, 3], [1, 2.9995], [0.001] * 2), compared([1.0008, 3], [1, 3], [0.001] * 2)]
    assert judge(directions).actual == 1.0008


def test_a_difference_as_large_as_is_allowed_passes(judge):
    finding = judge([compared([1.25, 3], [1, 3], [0.25, 0.25], 0), compared([500, 3], [500, 300], [0.25, 297], 1)])
    assert (finding.verdict, finding.wrong_features) == (Verdict.PASS, ())
    finding = judge([compared([1.375, 3], [1, 3], [0.25, 0.02], 0)])  # half as much again does not
    assert (finding.verdict, finding.wrong_features) == (Verdict.WRONG, (1,))


def test_more_elements_than_there_are_are_never_said_to_be_checked(judge):
    finding = judge([compared([1, 2], [1, 2], [1e-3, 1e-3], sample) for sample in range(12)] * 4)
    assert (finding.checked, finding.total) == (60, 60)


@pytest.mark.parametrize("array", ["dgamma", "dbeta"])
def test_what_is_of_a_feature_is_named_by_the_feature(judge, array):
    finding = judge([compared([1, 3], [1, 2], [0.01, 0.01])], array, "7x2x3")
    assert (finding.array, finding.verdict, finding.wrong_features) == (array, Verdict.WRONG, (4,))
    assert (finding.index, finding.checked, finding.total) == ((1, 1), 2, 6)


def test_nan_is_wrong_where_a_number_is_expected_and_nothing_where_none_is(judge):
    finding = judge([compared([1, np.nan], [1, 2], [0.01, 0.01], 2), RIGHT])
    assert (finding.verdict, finding.index, finding.wrong_features) == (Verdict.WRONG, (1, 4, 0), (4,))
    for expected, allowed in (([1, np.nan], [1e-3, 1e-3]), ([1, 2], [1e-3, np.inf]), ([1, np.inf], [1e-3, 1e-3])):
        finding = judge([compared([1, 7], expected, allowed, 2)])
        assert (finding.verdict, finding.wrong_features, finding.error) == (Verdict.PASS, (), 0)
        assert finding.reason == "1 of 2 features has no finite slope"


def test_where_nothing_is_expected_and_nothing_allowed_nothing_may_come(judge):
    nothing = compared([0, 2], [0, 2], [0, 0.001], 0)
    assert judge([nothing]).verdict is Verdict.PASS
    with np.errstate(divide="ignore"):
        assert judge([compared([1e-9, 2], [0, 2], [0, 0.001], 0)]).wrong_features == (1,)


def test_a_gradient_near_its_own_tolerance_is_undecided(judge):
    small, large = compared([0.01, 0.01], [0.01, 0.01], [1e-4, 1e-4], 0), compared([1, 1], [1, 1], [1e-4, 1e-4], 1)
    finding = judge([small])
    assert finding.verdict is Verdict.UNDECIDED
    assert finding.reason == (
        "the expected gradient, at most 0.01, is too small relative to the tolerance, 0.0001, for a mistake to show: "
        "give a dy that is neither constant nor a multiple of x"
    )
    assert judge([small, large]).verdict is Verdict.PASS  # one that can be judged suffices
    assert judge([small, large]).reason == ""
    half = judge([compared([0.01, 0.02], [0.01, 0.02], [1e-4, 1e-4], 0)])
    assert (half.verdict, half.reason) == (Verdict.PASS, "1 of 2 features has too small a gradient to be judged")
    off = judge([compared([0.02, 0.01], [0.01, 0.01], [1e-4, 1e-4], 0)])
    assert (off.verdict, off.reason) == (Verdict.WRONG, "")
    zero = judge([compared([0, 0], [0, 0], [1e-4, 1e-4], 0)])
    assert (zero.verdict, zero.error, zero.budget) == (Verdict.UNDECIDED, 0, 1e-4)


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ("1x5", "with 1 sample per feature it is 0 for any kernel: give 3 or more"),
        ("2x5", "with 2 samples per feature it is 0 for any kernel: give 3 or more"),
        ("3x5", "the expected gradient, at most 0, is too small"),
    ],
)
def test_too_few_samples_are_said_to_be(judge, problem, said):
    finding = judge([compared([0, 0], [0, 0], [1e-4, 1e-4], 0)], problem=problem)
    assert finding.verdict is Verdict.UNDECIDED
    assert finding.reason.startswith(said)
