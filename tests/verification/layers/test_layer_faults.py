"""The seeded faults of layers are faults: a short training run ends otherwise than that of the right layer."""

import numpy as np
import pytest

from bncli.verification._mutants.layer_faults import MUTANTS
from bncli.verification._mutants.layer_steps import KERNEL, RightLayer, layer_fault
from bncli.verification.finding import Verdict
from bncli.verification.layers import layer_findings

FEATURES = 3
OPTIONS = ({}, {"momentum": 0.5}, {"momentum": None}, {"track_running_stats": False})


def run_of(kernel):
    """All arrays that a run of two layers gives: eval, training, backwards, changed parameters, copies, one sample."""
    rng = np.random.default_rng(0)
    found = []
    for options in OPTIONS:
        layer, other = (kernel.layer.make(FEATURES, "float64", 0.2, **options) for _ in range(2))
        x = [rng.normal(3, 2, (outer, FEATURES, 2)) for outer in (4, 6, 5, 7, 3)]
        history = [(True, x[0]), (False, x[1]), *((True, each) for each in x), (False, x[2]), (True, x[3])]
        found.append(layer.forward(x[4], False)[0])
        calls = [(each, layer.forward(each, training)) for training, each in history]
        found += [y for _, (y, _) in calls]
        for each, (_, call) in calls[::-1]:
            found += layer.backward(each**2, call)
        layer.set_parameters(*rng.normal(size=(2, FEATURES)))
        found += [layer.forward(x[0], training)[0] for training in (False, True)]
        copied = kernel.layer.copies["copy.deepcopy"](layer)
        copied.forward(x[1], True)
        for each in (layer, copied, other):
            found += each.running() or ()
        layer.forward(rng.normal(size=(1, FEATURES, 1)), True)
        found += layer.running() or ()
    return [np.asarray(each) for each in found]


def same(one, other):
    return all(
        a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
        for a, b in zip(one, other, strict=True)
    )


def test_a_run_is_repeatable():
    assert same(run_of(KERNEL), run_of(KERNEL))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_changes_the_run_and_is_caught(mutant):
    try:
        changed = not same(run_of(mutant.fresh()), run_of(KERNEL))
    except ValueError:  # arrays of another call do not fit
        changed = True
    assert changed
    assert any(finding.verdict is Verdict.WRONG for finding in layer_findings.check(mutant.fresh(), "float32", 0))


@pytest.mark.parametrize("seed", range(20))
def test_the_right_layer_passes(seed):
    for dtype in ("float32", "float64"):
        assert {finding.verdict for finding in layer_findings.check(KERNEL, dtype, seed)} == {Verdict.PASS}


def test_sums_that_are_wrong_for_both_parameters_are_wrong():
    def collect(self, dgamma, dbeta):
        more = 2 if self.dgamma.any() else 1
        RightLayer.collect(self, more * dgamma, more * dbeta)

    fault = layer_fault("sums", "a second backward counts twice", collect=collect)
    found = {finding.array: finding for finding in layer_findings.check(fault.kernel, "float64", 0)}
    assert "after two backwards dgamma is wrong, and dbeta is wrong" in found["training mode"].reason
