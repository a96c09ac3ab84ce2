"""The contract: each check says what is broken, and nothing of a kernel that keeps to it."""

import dataclasses

import numpy as np
import pytest

from bncli.core.kernel import Kernel
from bncli.core.problem import Problem
from bncli.errors import InputError
from bncli.verification import contract
from bncli.verification._contract import array_memory
from bncli.verification.finding import Verdict
from bncli.verification.mutants import MUTANTS, RIGHT
from contract_kernels import NUMPY
from in_turn import in_turn

BROKEN = {
    "x-damaged": ("inputs-unchanged", "forward writes into its x"),
    "gamma-damaged": ("inputs-unchanged", "forward writes into its gamma"),
    "dy-damaged": ("inputs-unchanged", "backward writes into dy"),
    "dx-in-float32": ("dtypes", "dx is float32 where x is float64"),
    "out-ignored": ("out", "with out= given, its y is not filled and returned"),
    "y-is-x": ("inputs-unchanged", "forward writes into its x"),
    "dx-is-dy": ("inputs-unchanged", "backward writes into dy"),
    "dx-buffer-reused": ("own-memory", "a later call overwrites the first call's dx"),
    "y-buffers-take-turns": ("own-memory", "a later call overwrites the first call's y"),
    "stale-statistics": ("two-forwards", "use the state of the latest forward instead of the `saved` they were given"),
    "stale-cache": ("same-arrays", "are those of the previous call, although the same arrays hold new values"),
    "random-order": ("repeatable", "differ from call to call, on the same data"),
    "thread-drops": ("thread-count", "differ between 1 thread and 2"),
    "read-only-refused": ("read-only", "read-only input is refused: "),
    "strides-ignored": ("strided", "x and dy that are not contiguous give a different y"),
    "epsilon-ignored": ("epsilon", "with an epsilon as large as the variance, "),
    "first-gamma": ("benign-data", "on data of mean 0.5 and deviation 1, y and dx are wrong"),
    "x-hat-from-y": ("zero-gamma", "with a gamma of 0, dx and dgamma are wrong"),
    "shows-var": ("statistics", "saved.inv_std is "),
    "shows-unbiased": ("statistics", ", the biased variance"),
    "infer-from-batch": ("inference", "infer gives "),
    "infer-without-epsilon": ("inference", "infer gives "),
    "var-damaged": ("infer-memory", "infer writes into its var"),
}


def test_every_check_has_a_fault_below_that_breaks_it():
    # The unwritten memory of a seeded fault is always 0; test_what_is_never_written_... have one whose is not.
    assert {check for check, _ in BROKEN.values()} == set(contract.CHECKS) - {"written-in-full"}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named_and_said(make_case, name):
    check, said = BROKEN[name]
    kernel = next(mutant.kernel for mutant in MUTANTS if mutant.name == name)
    # float32 hides a wrong epsilon that is as small as this.
    finding = contract.check(
        kernel, make_case("12x6/eps=1e-09" + "/float32" * (name in ("epsilon-ignored", "infer-without-epsilon")))
    )
    assert finding.verdict is Verdict.WRONG
    assert check in finding.broken
    assert said in finding.reason
    assert finding.checked == finding.total - len(finding.broken)


KEPT = ["12x6", "3x5x4x4/channels-first/float32", "1x4", "2x3/eps=0.0", "6x1"]


@pytest.mark.parametrize(
    ("kernel", "problem"),
    [*((NUMPY, problem) for problem in KEPT), *in_turn(RIGHT, KEPT)],
    ids=lambda value: getattr(value, "name", value),
)
def test_who_keeps_to_it_passes(make_case, kernel, problem):
    if Problem.parse(problem).dtype not in kernel.dtypes:
        problem += "/float32"
    finding = contract.check(kernel, make_case(problem))
    assert finding.broken == ()
    assert finding.verdict is Verdict.PASS


def test_a_finding_counts_the_checks_and_joins_what_they_say(make_case):
    right = contract.check(NUMPY, make_case("12x6"))
    assert (right.kernel, right.array, right.method) == ("numpy", "contract", f"{len(contract.CHECKS)} checks")
    assert (right.error, right.budget, right.checked, right.total) == (0, 0, len(contract.CHECKS), len(contract.CHECKS))
    assert (right.reason, right.broken) == ("", ())

    def backward(dy, saved):
        raise ValueError("no")

    wrong = contract.check(Kernel(NUMPY.forward, backward, name="raises"), make_case("12x6"))
    assert (wrong.error, wrong.budget, wrong.broken[0]) == (np.inf, 0, "inputs-unchanged")
    assert wrong.reason.startswith("kernel 'raises': backward raised ValueError: no")
    assert wrong.reason.count("raised") == 1  # what several checks say is said once

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        return y.astype(float), saved

    def infer(x, *arguments):
        return NUMPY.infer(x, *arguments) + 1

    kernel = Kernel(forward, NUMPY.backward, infer, name="wide")
    several = contract.check(kernel, make_case("12x6/float32"))
    assert (several.broken, several.checked) == (("dtypes", "inference"), len(contract.CHECKS) - 2)
    first, second = several.reason.split("; ")
    assert first == "y is float64 where x is float32"
    assert second.startswith("infer gives ")


def test_of_a_large_problem_some_features_suffice(make_case):
    shapes = set()

    def forward(x, gamma, beta, epsilon):
        shapes.add(x.shape)
        return NUMPY.forward(x, gamma, beta, epsilon)

    kernel = Kernel(forward, NUMPY.backward, name="recorded")
    for descriptor, features in (
        ("4096x6", 4),
        ("5000x6", 3),
        ("10000x6", 2),
        ("20000x6", 2),
        ("10000x1", 1),
        ("9x6", 6),
    ):
        shapes.clear()
        contract.check(kernel, make_case(descriptor))
        assert {shape[1] for shape in shapes} == {features}


def test_of_many_samples_the_first_ones_suffice(make_case, monkeypatch):
    monkeypatch.setattr(contract, "SMALL", 4)
    monkeypatch.setattr(contract, "LARGEST", 20)
    seen = set()

    def forward(x, gamma, beta, epsilon):
        seen.add(x.shape)
        return NUMPY.forward(x, gamma, beta, epsilon)

    finding = contract.check(Kernel(forward, NUMPY.backward, name="seen"), make_case("9x4x5/channels-first"))
    assert (seen, finding.verdict) == ({(2, 2, 5)}, Verdict.PASS)


def test_who_damages_its_input_is_told_that_alone(make_case):
    kernel = next(mutant.kernel for mutant in MUTANTS if mutant.name == "x-damaged")
    finding = contract.check(kernel, make_case("12x6"))
    assert finding.reason == "forward writes into its x"
    assert finding.broken == ("inputs-unchanged",)


@pytest.mark.parametrize("problem", ["12x6", "64x30"])
def test_what_is_never_written_is_found_without_out(make_case, problem):
    def forward(x, gamma, beta, epsilon):
        right, saved = NUMPY.forward(x, gamma, beta, epsilon)
        y = np.empty_like(x)
        y[:, :-1] = right[:, :-1]
        return y, saved

    finding = contract.check(Kernel(forward, NUMPY.backward, name="short"), make_case(problem))
    assert "written-in-full" in finding.broken
    assert "values of y are never written: the memory keeps its old contents" in finding.reason


def test_what_is_never_written_is_found_in_memory_that_numpy_did_not_give_as_empty(make_case):
    # Memory of that size has just been freed, and held NaN.
    def forward(x, gamma, beta, epsilon):
        y = np.ndarray(x.shape, x.dtype)
        right, saved = NUMPY.forward(x, gamma, beta, epsilon)
        y[:, :-1] = right[:, :-1]
        return y, saved

    def backward(dy, saved):
        dgamma = np.ndarray(saved.gamma.shape, dy.dtype)
        dx, right, dbeta = NUMPY.backward(dy, saved)
        dgamma[1:] = right[1:]
        return dx, dgamma, dbeta

    said = array_memory.written_in_full(Kernel(forward, backward), make_case("12x6"))
    assert said == "12 values of y and 1 value of dgamma are never written: the memory keeps its old contents"


def test_backward_may_be_called_once_for_each_forward(make_case):
    # As an autograd engine that frees its graph has it.
    def backward(dy, saved):
        if not saved:
            raise RuntimeError("backward through the graph a second time")
        return NUMPY.backward(dy, saved.pop())

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        return y, [saved]

    assert contract.check(Kernel(forward, backward, name="once"), make_case("12x6")).broken == ()


def test_a_kernel_may_refuse_what_is_not_contiguous(make_case):
    def forward(x, gamma, beta, epsilon):
        if not x.flags.c_contiguous:
            raise ValueError("contiguous, please")
        return NUMPY.forward(x, gamma, beta, epsilon)

    assert contract.check(Kernel(forward, NUMPY.backward, name="strict"), make_case("12x6")).broken == ()


def test_last_bits_that_depend_on_threads_are_said_and_pass(make_case):
    threads = [1]

    def set_threads(count):
        before, threads[0] = threads[0], count
        return before

    def backward(dy, saved):
        dx, dgamma, dbeta = NUMPY.backward(dy, saved)
        return dx, dgamma, dbeta * (1 + (threads[0] - 1) * np.finfo(dbeta.dtype).eps)

    finding = contract.check(Kernel(NUMPY.forward, backward, set_threads=set_threads, name="bits"), make_case("12x6"))
    assert finding.verdict is Verdict.PASS
    assert finding.reason == "the last bits of dbeta differ between 1 thread and 2"
    assert threads == [1]  # as it was before


def test_a_number_of_threads_that_a_kernel_refuses_is_passed_over(make_case):
    threads = [4]

    def set_threads(count):
        if count == 3:
            raise InputError("not three")
        before, threads[0] = threads[0], count
        return before

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        return y * (1 + (threads[0] == wrong)), saved

    kernel = Kernel(forward, NUMPY.backward, set_threads=set_threads, name="choosy")
    for wrong in (0, 4):
        finding = contract.check(kernel, make_case("12x6"))
        assert ("thread-count" in finding.broken) is (wrong == 4), finding.reason
        assert threads == [4]


def test_the_case_is_left_as_it_was(make_case):
    case = make_case("12x6")
    writable = {name: getattr(case, name).copy() for name in ("x", "gamma", "beta", "dy")}
    for mutant in (mutant for mutant in MUTANTS if mutant.name in BROKEN):
        contract.check(mutant.kernel, dataclasses.replace(case, **writable))
    for name, array in writable.items():
        np.testing.assert_array_equal(array, getattr(case, name))
