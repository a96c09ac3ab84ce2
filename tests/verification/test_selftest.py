"""The checks are checked: every fault is caught, every right kernel passes, and both are counted truly."""

import dataclasses

import pytest

from bncli.core.kernel import Kernel
from bncli.core.problem import Problem
from bncli.core.source import draw
from bncli.loading.registry import load_kernel
from bncli.verification import selftest as reports
from bncli.verification import trials
from bncli.verification.finding import Finding, Verdict
from bncli.verification.mutants import MUTANTS, RIGHT, Mutant
from bncli.verification.search import searching
from bncli.verification.trials import Outcome
from command_line import rows, run

NUMPY = load_kernel("numpy")


def finding(array, method="reference", verdict=Verdict.WRONG):
    return Finding("k", array, method, verdict, 1.0, 0.1)


@pytest.fixture
def outcome(monkeypatch, make_case):
    """outcome(found, function): what becomes of a kernel of which gradcheck finds ``found`` by the case's shape."""
    cases = [make_case(problem) for problem in ("3x2", "4x2", "5x2/float32")]
    hard = [make_case("6x2")]

    def make(found, function=trials.of_right, invariant=Verdict.PASS, searched=False, **fields):
        kernel = Kernel(NUMPY.forward, NUMPY.backward, dtypes=("float64",), name="k")

        def check(kernel, case, seed):
            assert seed == case.seed
            return found.get(case.problem.shape[0], [])

        monkeypatch.setattr(trials.gradients, "check", check)
        monkeypatch.setattr(trials, "found_by_search", lambda kernel: searched)
        monkeypatch.setattr(trials.invariants, "check", lambda kernel, case: [finding("y", "shift", invariant)])
        if function is trials.of_right:
            return function(kernel, cases)
        return function(Mutant("m", "", "dx", kernel, **fields), cases, hard)

    return make


# Every twentieth fault, and those that the tests below ask for. .ci/run runs all of them.
ASKED = ("unbiased-throughout", "random-order", "variance-by-difference")
SAMPLE = [*ASKED, *(mutant.name for mutant in MUTANTS[::20] if mutant.name not in ASKED)]


def test_every_fault_is_caught():
    names = SAMPLE[::3]
    report = reports.report(names, with_torch=False)
    assert report.failures == []
    assert [row["kernel"] for row in report.rows] == names
    assert {row["verdict"] for row in report.rows} == {"PASS"}


@pytest.mark.parametrize("name", ["closed-form", "textbook", "single-use", "strict", "float32-only"])
def test_right_kernels_pass(name, monkeypatch):
    monkeypatch.setattr(trials, "SEARCHED", 24)
    kernel = next(kernel for kernel in RIGHT if kernel.name == name)
    cases = [draw("normal", Problem((6, 4), dtype=dtype), 0) for dtype in kernel.dtypes]
    outcome = trials.of_right(kernel, cases)
    assert (outcome.caught, outcome.problems, outcome.ok) == (0, len(cases) + 1, True)


def test_a_whole_report_has_all_faults_and_all_right_kernels():
    assert reports.count() == len(MUTANTS) + len(RIGHT)
    assert len(MUTANTS) >= 150
    assert len(RIGHT) >= 20


@pytest.mark.slow
def test_every_check_is_the_only_one_to_catch_something_but_the_slopes():
    report = reports.report(SAMPLE, with_torch=False)
    # The slopes are independent of the reference: what they catch it must catch too, or it would be wrong itself.
    alone = set()
    for row in report.rows:
        catching = [check for check in trials.CHECKS if row[check]]
        alone |= set(catching) if len(catching) == 1 else set()
        if row["verdict"] == "PASS" and row["kernel"] == "unbiased-throughout":
            assert not row[trials.SLOPES]  # a right derivative of a wrong function
            assert row[trials.VALUES]
    assert {trials.CONTRACT, trials.SEARCH} <= alone
    assert sum(bool(row[trials.SLOPES]) for row in report.rows) > 5
    kernels = {mutant.name: mutant.kernel for mutant in MUTANTS}
    searched = [row for row in report.rows if not (kernels[row["kernel"]].layer or kernels[row["kernel"]].parts)]
    assert sum(bool(row[trials.SEARCH]) for row in searched) == len(searched) - 1  # of which one is rounding


@pytest.mark.slow
def test_another_seed_is_no_different():
    assert reports.report(SAMPLE[::3], with_torch=False, seed=7).failures == []


def test_the_search_has_a_fixed_number_of_cases_and_ends_at_the_first_wrong_one(monkeypatch):
    asked = []

    def search(kernel, seconds, seed=0, *, cases, narrowed):
        asked.append((seconds, seed, cases, narrowed))
        return searching.SearchOutcome(seed)

    monkeypatch.setattr(trials.searching, "search", search)
    assert not trials.found_by_search(NUMPY)
    assert asked == [(trials.SECONDS, 0, trials.SEARCHED, False)]
    assert trials.SEARCHED <= 150
    monkeypatch.undo()
    assert trials.found_by_search(MUTANTS[0].kernel)


def test_a_fault_that_escapes_is_a_failure(monkeypatch):
    kernel = dataclasses.replace(RIGHT[0], name="innocent")
    innocent = Mutant("innocent", "no fault at all", "dx", kernel, lambda problem: True)
    monkeypatch.setattr(reports, "MUTANTS", (innocent,))
    monkeypatch.setattr(reports, "RIGHT", (MUTANTS[0].kernel,))
    monkeypatch.setattr(trials, "SEARCHED", 12)
    found = reports.report(with_torch=False)
    assert found.failures == ["innocent is judged wrongly", f"{MUTANTS[0].name} is judged wrongly"]
    assert "0 of 1 are judged as they should be" in found.rows[0]["note"]
    assert found.rows[0]["reproduce"] == "reproduce: bncli selftest --fault innocent --seed 0"


def test_a_fault_that_is_nowhere_visible_is_not_counted_as_caught():
    hidden = Mutant("hidden", "", "dx", MUTANTS[0].kernel, lambda problem: False)
    assert not trials.of_mutant(hidden, [draw("normal", Problem((5, 3)), 0)], []).ok


def test_a_kernel_is_only_counted_on_the_types_that_it_takes():
    cases = [draw("normal", Problem((6, 4), dtype=dtype), 0) for dtype in ("float64", "float32")]
    narrow = dataclasses.replace(MUTANTS[0].kernel, dtypes=("float32",))
    mutant = dataclasses.replace(MUTANTS[0], kernel=narrow, needs="")
    outcome = trials.of_mutant(mutant, cases, [])
    assert (outcome.caught, outcome.problems, outcome.ok) == (2, 2, True)  # the search is one of them
    assert not trials.of_mutant(mutant, cases[:1], []).ok  # judged on nothing


def test_the_columns_of_torch_count_what_it_rejects(monkeypatch):
    def caught(kernel, case, fast):
        assert (case.problem.samples > 100) is fast
        return not fast or kernel.name == "swapped"

    monkeypatch.setattr(reports.torchcheck, "available", lambda: None)
    monkeypatch.setattr(reports.torchcheck, "caught", caught)
    found = reports.report(["dx-zero", "swapped"], with_torch=True)
    by_torch = {row["kernel"]: (row["torch_slow"], row["torch_fast"]) for row in found.rows}
    assert by_torch == {"dx-zero": (1, 0), "swapped": (1, 1)}
    assert "torch.autograd.gradcheck rejects 2 of them on " in found.rows[-1]["note"]
    assert "and 1 with fast_mode=True on " in found.rows[-1]["note"]


@pytest.mark.parametrize(
    ("found", "check"),
    [
        (finding("y"), "values"),
        (finding("dx"), "gradients"),
        (finding("dgamma"), "gradients"),
        (finding("dx", "central"), "slopes"),
        (finding("contract", "15 checks"), "contract"),
        (finding("call", ""), "contract"),
    ],
)
def test_what_is_wrong_counts_for_the_check_that_finds_it(outcome, found, check):
    counts = dict.fromkeys(trials.CHECKS, 0)
    # float32 is none of the kernel's dtypes, so that problem is not one of them.
    assert outcome({3: [found, found], 4: [found]})[1:] == (counts | {check: 2}, 2, 3, False)
    assert outcome({4: [found]})[1:] == (counts | {check: 1}, 1, 3, False)
    assert outcome({5: [found]})[1:] == (counts, 0, 3, True)
    undecided = dataclasses.replace(found, verdict=Verdict.UNDECIDED)
    assert outcome({3: [undecided], 4: []})[1:] == (counts, 0, 3, True)


def test_what_the_search_finds_counts_as_one_problem(outcome):
    counts = dict.fromkeys(trials.CHECKS, 0) | {"search": 1}
    assert outcome({}, searched=True)[1:] == (counts, 1, 3, False)
    hidden = {"visible": lambda problem: False, "needs": "a case of its own"}
    assert outcome({}, trials.of_mutant, searched=True, **hidden)[1:] == (counts, 1, 4, True)
    assert not outcome({}, trials.of_mutant, **hidden).ok
    # A fault that plain calls show must be caught by them.
    assert not outcome({}, trials.of_mutant, searched=True, visible=lambda problem: True).ok


def test_invariants_count_where_they_suit(outcome, monkeypatch):
    wrong = outcome({}, invariant=Verdict.WRONG)
    assert (wrong.caught_by["invariants"], wrong.caught) == (2, 2)
    monkeypatch.setattr(trials.invariants, "suits", lambda case: case.problem.shape[0] == 4)
    assert outcome({}, invariant=Verdict.WRONG).caught == 1


def test_a_fault_must_be_caught_wherever_it_shows_or_once_where_it_needs_something(outcome):
    both, one = {3: [finding("y")], 4: [finding("y")]}, {4: [finding("y")]}

    def judged(found, shows=lambda problem: True, needs=""):
        outcome_of = outcome(found, trials.of_mutant, visible=shows, needs=needs)
        assert isinstance(outcome_of, Outcome)
        return outcome_of.caught, outcome_of.problems, outcome_of.ok

    assert judged(both) == (2, 3, True)
    assert judged(one) == (1, 3, False)
    assert judged(one, lambda problem: problem.shape[0] > 3) == (1, 2, True)
    assert judged(both, lambda problem: False) == (0, 1, False)
    assert judged({6: [finding("y")]}, needs="a second call") == (1, 4, True)
    assert judged({}, needs="a second call") == (0, 4, False)
    assert judged(both, lambda problem: False, needs="a second call") == (2, 4, True)


def test_the_command_runs_chosen_faults_and_names_the_nearest():
    assert [row["kernel"] for row in rows("selftest", "--fault", "swapped", "--no-torch")] == ["swapped"]
    unknown = run("selftest", "--fault", "swappd", code=2)
    assert "no fault is called 'swappd': did you mean 'swapped'?" in unknown.stderr


def test_a_comparison_that_cannot_be_made_is_said(monkeypatch):
    monkeypatch.setattr("bncli.verification.torchcheck.available", lambda: "torch is not installed: install it")
    run("selftest", "--fault", "swapped")
    assert "torch is not installed" in run("selftest", "--fault", "swapped", "--torch", code=3).stderr
