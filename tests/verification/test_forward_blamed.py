"""Where forward is wrong and backward is right, forward is blamed."""

import numpy as np
import pytest

import bncli
from bncli.verification._diagnosis.wording import distinct, listing, verb
from plain_kernel import plain


def test_a_right_gradient_of_a_wrong_y_is_not_blamed():
    kernel = plain(y=lambda gamma, x_hat, beta: np.maximum(gamma * x_hat + beta, 0))
    report = bncli.gradcheck(kernel, "12x6")
    assert report.failures == ["plain: y is WRONG"]
    by_slopes = [row for row in report.rows if row["method"] != "reference" and row["verdict"] == "WRONG"]
    assert [row["array"] for row in by_slopes] == ["dx", "dgamma", "dbeta"]
    for row in by_slopes:
        assert row["note"] == f"plain: {row['array']} is right, but it is not the derivative of this y, which is wrong"


def test_a_y_that_is_wrong_for_another_gamma_alone_is_blamed():
    report = bncli.gradcheck(plain(y=lambda gamma, x_hat, beta: np.clip(gamma, -2, 2) * x_hat + beta), "12x6")
    assert report.failures == ["plain: y is WRONG"]
    (note,) = (row["note"] for row in report.rows if row["note"])
    assert note == (
        "plain: dgamma is right, and so is y, but not with other parameters: "
        "with gamma + (1 + |gamma|) in place of gamma y is wrong; gamma is clipped to ±2"
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (6.45822, 6.45823, ("6.45822", "6.45823")),
        (6.4582204, 6.4582217, ("6.4582204", "6.4582217")),
        (1e-8, 1.0000001e-8, ("1e-08", "1.0000001e-08")),
        (1.0, 1 + 2**-52, ("1", "1.00000000000000022")),
        (2.5, 2.5, ("2.5", "2.5")),
        (-0.0, 0.0, ("0", "0")),
        (float("nan"), 1.0, ("nan", "1")),
    ],
)
def test_two_numbers_side_by_side_differ(first, second, expected):
    assert distinct(first, second) == expected


def test_names_are_listed_with_the_verb_that_fits():
    assert [listing(names) for names in (["dx"], ["y", "dx"], ["y", "dx", "dbeta"])] == [
        "dx",
        "y and dx",
        "y, dx and dbeta",
    ]
    assert (verb(["dx"], "are"), verb(["dx"], "differ"), verb(["y", "dx"], "differ")) == ("is", "differs", "differ")
