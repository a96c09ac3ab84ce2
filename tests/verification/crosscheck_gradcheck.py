"""The seeded faults under PyTorch's own gradcheck; run by name where PyTorch is installed, since it is large.

What it accepts is a fact about PyTorch 2.13, which the README quotes: these tests pin the facts.
"""

import numpy as np
import pytest
import torch

from bncli.core.kernel import Kernel
from bncli.core.problem import Problem
from bncli.verification import torchcheck
from bncli.verification.mutants import MUTANTS, RIGHT

MUTANT = {mutant.name: mutant for mutant in MUTANTS}
# As far off as gradcheck's own relative tolerance: what it cannot but accept.
WITHIN_TOLERANCE = {"dx-off", "feature-off", "sample-off", "dgamma-off"}


def wrong_gradients(kind, problem):
    return [mutant for mutant in MUTANTS if mutant.kind == kind and mutant.visible(Problem.parse(problem))]


def accepted(mutants, case, fast):
    return {mutant.name for mutant in mutants if not torchcheck.caught(mutant.kernel, case, fast)}


@pytest.fixture(scope="module")
def case(make_case):
    return make_case("5x4x4x3")


def test_torch_is_available():
    assert torchcheck.available() is None


# PyTorch's gradcheck is of float64, and calls the backward of one forward several times.
JUDGED = [kernel for kernel in RIGHT if "float64" in kernel.dtypes and kernel.name != "single-use"]


@pytest.mark.parametrize("kernel", JUDGED, ids=lambda kernel: kernel.name)
def test_right_kernels_are_accepted(make_case, case, kernel):
    assert not torchcheck.caught(kernel, case, fast=False)
    for problem in ("5x4x4x3", "128x16", "2048x64"):
        assert not torchcheck.caught(kernel, make_case(problem), fast=True)


def test_the_full_jacobian_shows_all_wrong_gradients_but_what_is_within_its_tolerance(case):
    wrong = [*wrong_gradients("dx", "5x4x4x3"), *wrong_gradients("dgamma, dbeta", "5x4x4x3")]
    assert accepted(wrong, case, fast=False) == WITHIN_TOLERANCE


def test_one_projection_of_it_does_not(case):
    wrong = wrong_gradients("dx", "5x4x4x3")
    assert accepted(wrong, case, fast=True) > accepted(wrong, case, fast=False)


def test_the_projection_misses_zeros_reversed_signs_and_missing_terms_at_128x16(make_case):
    found = accepted(wrong_gradients("dx", "128x16"), make_case("128x16"), fast=True)
    assert {"dx-zero", "dx-reversed", "dx-doubled", "x-hat-term-missing", "n-minus-one"} <= found


def test_the_projection_misses_nearly_everything_at_2048x64(make_case):
    wrong = wrong_gradients("dx", "2048x64")
    found = accepted(wrong, make_case("2048x64"), fast=True)
    assert len(wrong) == 31
    assert {mutant.name for mutant in wrong} - found == {"mean-over-features", "both-over-features"}


def test_what_gradcheck_does_not_ask_it_does_not_see(case):
    for name in ("unbiased-throughout", "epsilon-ignored", "infer-from-batch", "stale-statistics", "thread-drops"):
        assert accepted([MUTANT[name]], case, fast=False) == {name}


@pytest.mark.parametrize("fast", [True, False])
def test_a_kernel_that_raises_is_caught(case, fast):
    assert torchcheck.caught(MUTANT["backward-raises"].kernel, case, fast)

    def forward(x, gamma, beta, epsilon):
        raise ZeroDivisionError

    assert torchcheck.caught(Kernel(forward, RIGHT[0].backward), case, fast)


def test_neither_the_arrays_nor_the_generator_of_the_caller_are_touched(make_case):
    case = make_case("5x4x4x3/float32")  # read-only arrays, of another type
    torch.manual_seed(7)
    state = torch.get_rng_state()
    before = case.x.copy()
    torchcheck.caught(MUTANT["x-damaged"].kernel, case, fast=True)
    assert np.array_equal(case.x, before)
    assert torch.equal(torch.get_rng_state(), state)
