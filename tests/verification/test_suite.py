"""What a kernel is verified on, and what becomes of one that raises or is lost."""

import dataclasses

import numpy as np
import pytest

from bncli.core.kernel import IsolatedKernel
from bncli.core.layout import Layout
from bncli.core.problem import Problem
from bncli.errors import KernelFault, KernelLost, KernelMalformed, KernelRefused
from bncli.loading.registry import load_kernel
from bncli.verification import accuracy, contract, invariants, suite
from bncli.verification.finding import Finding, Verdict
from bncli.verification.suite import Judged, Scenario

NUMPY = load_kernel("numpy")


class Elsewhere:
    """A process that ends as soon as it is asked for anything."""

    options = ()

    def __init__(self, fault):
        self.fault = fault

    def run(self, name, job, arguments, longer=0.0, each_call=False):
        raise self.fault


def raising(fault):
    return IsolatedKernel("gone", "", "", NUMPY.dtypes, "", has_infer=False, set_threads=None, process=Elsewhere(fault))


def test_scenarios_are_those_of_each_distribution_and_more_of_the_benign_one():
    problem = Problem((6, 5), epsilon=0.25)
    found = {scenario.name: scenario for scenario in suite.scenarios(["sorted", "nan", "normal"], problem)}
    of_normal = ["1 sample", "2 samples", "1 feature", "epsilon 0", "epsilon 1", "epsilon 1e+06"]
    assert list(found) == ["sorted", "nan", "normal", *of_normal]
    assert [scenario.random for scenario in found.values()] == ["sorted", "nan", *["normal"] * 7]
    assert {name for name, scenario in found.items() if scenario.refusable} == {"1 sample", "epsilon 0"}
    for name in ("sorted", "nan", "normal"):
        assert found[name].adapted(problem) == problem
    for name, epsilon in (("epsilon 0", 0.0), ("epsilon 1", 1.0), ("epsilon 1e+06", 1e6)):
        assert found[name].adapted(problem) == dataclasses.replace(problem, epsilon=epsilon)
    for features, names in ((1, ["sorted"]), (2, ["nan", "sorted", "inf"])):
        chosen = suite.scenarios(["nan", "sorted", "inf"], Problem((6, features)))
        assert [scenario.name for scenario in chosen] == names


@pytest.mark.parametrize(
    ("layout", "one", "two"),
    [
        (Layout.PER_ACTIVATION, (1, 4, 5, 3), (2, 4, 5, 3)),
        (Layout.CHANNELS_LAST, (1, 1, 1, 3), (2, 1, 1, 3)),
        (Layout.CHANNELS_FIRST, (1, 4, 1, 1), (2, 4, 1, 1)),
    ],
)
def test_few_samples_are_few_in_every_layout(layout, one, two):
    problem = Problem((6, 4, 5, 3), layout, epsilon=0.5)
    adapted = {scenario.name: scenario.adapted(problem) for scenario in suite.scenarios(["normal"], problem)}
    for name, shape, samples in (("1 sample", one, 1), ("2 samples", two, 2)):
        assert adapted[name] == dataclasses.replace(problem, shape=shape)
        assert (adapted[name].samples, adapted[name].features) == (samples, problem.features)


def test_each_array_is_judged_once_under_the_scenarios_name(make_case):
    case = make_case("6x5")
    judged = suite.on_data(NUMPY, Scenario("some data"), case)
    assert [each.finding for each in judged] == accuracy.check(NUMPY, case)
    assert all(each.check == "some data" and each.case is case for each in judged)
    arrays = [each.finding.array for each in judged]
    assert sorted(arrays) == sorted(set(arrays))


@pytest.mark.parametrize(
    ("layout", "item", "feature"),
    [
        (Layout.PER_ACTIVATION, None, (6, 1, 1, 1)),
        (Layout.CHANNELS_LAST, (1, 4, 5, 3), (6, 4, 5, 1)),
        (Layout.CHANNELS_FIRST, (1, 4, 5, 3), (6, 1, 5, 3)),
    ],
)
def test_one_item_and_one_feature_are_tried_in_every_layout(layout, item, feature):
    problem = Problem((6, 4, 5, 3), layout, epsilon=0.5)
    adapted = {scenario.name: scenario.adapted(problem) for scenario in suite.scenarios(["normal"], problem)}
    assert adapted["1 feature"] == dataclasses.replace(problem, shape=feature)
    assert adapted["1 feature"].features == 1
    # Per activation it would be a sample.
    assert adapted.get("1 item") == (item and dataclasses.replace(problem, shape=item))


@pytest.mark.parametrize("refusable", [True, False])
@pytest.mark.parametrize("fault_of", [KernelRefused, KernelFault, KernelLost, KernelMalformed])
def test_who_raises_on_degenerate_data_refuses_and_who_is_lost_is_wrong(make_case, fault_of, refusable):
    fault = fault_of("it says why")
    case = make_case("6x5")
    refused = refusable and type(fault) is KernelRefused
    (judged,) = suite.on_data(raising(fault), Scenario("some data", refusable=refusable), case)
    assert (judged.check, judged.case) == ("some data", case)
    verdict, array, error = (Verdict.REFUSED, "refused", 0.0) if refused else (Verdict.WRONG, "", np.inf)
    assert as_dict(judged.finding) == as_dict(
        Finding("gone", array, "reference", verdict, error, 0.0, reason=str(fault))
    )
    assert judged.finding.share == (0 if refused else np.inf)


def test_behaviour_is_the_invariants_and_the_contract(make_case):
    case = make_case("6x5")
    judged = suite.behaviour(NUMPY, case)
    assert [each.check for each in judged] == [*invariants.INVARIANTS, contract.ARRAY]
    assert all(each.case is case and each.finding.verdict is Verdict.PASS for each in judged)
    assert [each.finding.method for each in judged][:-1] == list(invariants.INVARIANTS)
    (lost,) = suite.behaviour(raising(KernelLost("it is gone")), case)
    assert (lost.check, lost.case) == (contract.ARRAY, case)
    assert as_dict(lost.finding) == as_dict(Finding("gone", "", "", Verdict.WRONG, np.inf, 0.0, reason="it is gone"))


def as_dict(finding):
    return {name: repr(value) for name, value in dataclasses.asdict(finding).items()}  # NaN is no equal of itself


def test_the_worst_of_several_is_the_one_that_says_most(make_case):
    case = make_case("5x3")

    def judged(verdict, error):
        return Judged("c", case, Finding("k", "y", "reference", verdict, error, 1.0))

    low, high = judged(Verdict.PASS, 0.1), judged(Verdict.PASS, 0.9)
    undecided, wrong = judged(Verdict.UNDECIDED, 0.5), judged(Verdict.WRONG, 1.5)
    assert suite.worst([low, high]) is high
    assert suite.worst([high, undecided, low]) is undecided
    assert suite.worst([undecided, wrong]) is wrong
