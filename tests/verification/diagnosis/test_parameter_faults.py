"""Diagnosis of dgamma and dbeta, and of mistakes that come together."""

import numpy as np
import pytest

from bncli.loading.registry import load_kernel
from bncli.verification.diagnosis import diagnose
from in_turn import in_turn
from right_values import PROBLEMS, PROD, SPATIAL, K, agrees, diagnosed

# What is wrong with dgamma and dbeta.
PARAMETERS = {
    "averaged": ("both", lambda r, right: right / r.samples, K + ": averaged over the {samples} samples, not summed"),
    "by the features": ("both", lambda r, right: right / r.features, K + f": divided by {PROD}"),
    "times the samples": (
        "both",
        lambda r, right: right * r.samples,
        K + ": multiplied by {samples}, the number of samples",
    ),
    "reversed": ("both", lambda r, right: -right, "has the wrong sign"),
    "doubled": ("both", lambda r, right: 2 * right, "is 2 times what it should be"),
    "halved": ("both", lambda r, right: right / 2, "is 0.5 of what it should be"),
    "0.3 % off": ("both", lambda r, right: 0.997 * right, "is 0.997 of what it should be"),
    "zero": ("both", lambda r, right: 0 * right, "is 0 everywhere"),
    "nearly zero": ("both", lambda r, right: 1e-30 * right, "is 0 up to rounding"),
    "times gamma": ("both", lambda r, right: right * r.gamma, "is multiplied by gamma"),
    "times scale": ("both", lambda r, right: right * r.gamma / r.std, "is multiplied by gamma * inv_std"),
    "over all features": ("both", lambda r, right: right.sum() + 0 * right, "sums over the features too"),
    "shifted": ("both", lambda r, right: np.roll(right, 1), None),
    "added": ("both", lambda r, right: right + 1.5, "1.5 is added to "),
    "dbeta for dgamma": ("dgamma", lambda r, _: r.dbeta, "is dbeta: the sum of dy, not of dy * x_hat"),
    "dgamma for dbeta": ("dbeta", lambda r, _: r.dgamma, "is dgamma: the sum of dy * x_hat, not of dy"),
    "from x": ("dgamma", lambda r, _: r.total(r.dy * r.x), "is computed from x, not from x_hat"),
    "from y": ("dgamma", lambda r, _: r.total(r.dy * r.y), "is computed from y, not from x_hat"),
    "over gamma": ("dgamma", lambda r, right: right / r.gamma, "is divided by gamma"),
    "from x - mean": (
        "dgamma",
        lambda r, right: right * r.std,
        "inv_std is forgotten: dgamma is computed from x - mean, not from x_hat",
    ),
    "inv_std twice": ("dgamma", lambda r, right: right / r.std, "inv_std is applied twice"),
    "times beta": ("dbeta", lambda r, right: right * r.beta, "is multiplied by beta"),
    "times inv_std": ("dbeta", lambda r, right: right / r.std, "is multiplied by inv_std"),
}


@pytest.mark.parametrize(("fault", "problem"), in_turn(PARAMETERS, PROBLEMS))
def test_a_fault_in_dgamma_and_dbeta_is_named(right, fault, problem):
    r = right(problem)
    arrays, wrong, says = PARAMETERS[fault]
    for array in ("dgamma", "dbeta") if arrays == "both" else (arrays,):
        value = wrong(r, getattr(r, array))
        sentences = diagnosed(r.case, array, value)
        if says is None:
            assert sentences[0].startswith(f"{array} is shifted along the features: feature ")
        else:
            alone = says.startswith("inv_std")
            template = says if alone else f"{says}{array}" if says.endswith(" ") else f"{array} {says}"
            agrees(sentences, [template], [np.median(value / getattr(r, array))] * template.count("{k}"), r)


@pytest.mark.parametrize("problem", SPATIAL)
@pytest.mark.parametrize(
    ("count", "says"), [("batch", "{batch}, the batch size"), ("spatial", "{spatial}, the positions of one item")]
)
def test_dgamma_divided_by_one_axis_is_named(right, problem, count, says):
    r = right(problem)
    divisor = getattr(r, count)
    for array in ("dgamma", "dbeta"):
        template = f"{array} {K}: divided by {says}"
        agrees(diagnosed(r.case, array, getattr(r, array) / divisor), [template], [1 / divisor], r)


def test_one_number_is_told_of_one_number(right):
    r = right("9x1/eps=0.01")
    for name in ("dgamma", "dbeta"):
        (sentence,) = diagnosed(r.case, name, 1.3 * getattr(r, name))
        assert sentence == f"{name} is 1.3 times what it should be"


def test_the_published_listing_in_full(make_case):
    case = make_case("5x4x4x3")
    kernel = load_kernel("numpynet")
    dx = kernel.backward(case.dy, kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)[1])[0]
    assert diagnose(case, {"dx": dx}, ["dx"])["dx"] == (
        "the x_hat term is 0.104 of what it should be: divided by 48, the number of features (1 / prod(mean.shape)), "
        "where 5 samples were averaged",
        "the mean term is 0.0208 of what it should be: averaged, and then divided by 48, the number of features "
        "(1 / prod(mean.shape)), once more",
    )
