"""Kernels whose gamma or beta may be None: a search tries them without."""

import pytest

from bncli.loading.registry import load_kernel
from bncli.verification.finding import Verdict
from bncli.verification.search import searching
from command_line import run
from user_files import MAYBE_NONE, write

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")

BOTH = (("gamma",), ("beta",), ("gamma", "beta"))
KERNEL = (
    MAYBE_NONE
    + """
def infer(x, gamma, beta, mean, var, epsilon):
    x_hat = (x - mean[:, None]) / (var[:, None] + epsilon) ** 0.5
    y = x_hat if gamma is None else x_hat * gamma[:, None]
    return y if beta is None else y + beta[:, None]
"""
)
FAULTS = {
    "None is 0": ("y = x_hat if gamma is None else", "y = x_hat * 0 if gamma is None else", "where gamma is None"),
    "dx of another gamma": ("dx_hat = dy if gamma", "dx_hat = dy * 0.5 if gamma", "where gamma is None"),
    "it raises": ("return y if beta is None else y +", "return y +", "where beta is None"),
    "beta of None is 1": (
        "return y if beta is None else y +",
        "return y + 1 if beta is None else y +",
        "where beta is None",
    ),
}


def searched(text, cases=40):
    return searching.search(load_kernel(write("mine.py", text)), 60, cases=cases)


@pytest.mark.parametrize(
    ("text", "optional"),
    [
        (KERNEL, BOTH),
        (KERNEL.replace("=None, beta=None, epsilon=1e-5", ", beta, epsilon"), ()),
        (KERNEL.replace("=None, beta=None, epsilon=1e-5", ", beta, epsilon") + "optional = ('gamma', 'beta')", BOTH),
        (KERNEL + "optional = ('beta',)", (("beta",),)),
        (KERNEL + "optional = ()", ()),
    ],
)
def test_what_may_be_none_is_what_the_default_or_the_file_says(text, optional):
    assert load_kernel(write("mine.py", text)).optional == optional


def test_a_right_kernel_passes_with_and_without():
    found = searched(KERNEL)
    assert found.wrong is None
    assert found.counts[Verdict.NOT_TRIED] == 0


QUICK = ("None is 0", "it raises")


@pytest.mark.slow
@pytest.mark.usefixtures("_time_to_narrow")
@pytest.mark.parametrize(
    "fault", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in FAULTS if name not in QUICK)]
)
def test_a_fault_is_found_and_the_rule_says_where(fault):
    right, wrong, rule = FAULTS[fault]
    assert KERNEL.count(right) >= 1
    found = searched(KERNEL.replace(right, wrong, 1))
    if found.rule.startswith("wrong"):  # a busy machine may have no time for a rule
        assert rule in found.rule
    assert "=none" in str(found.wrong.line)
    again = run("gradcheck", "mine.py", "--case", str(found.wrong.line), code=1)
    assert "WRONG" in again.stdout


def test_gamma_of_the_last_call_is_found():
    kept = "y = x_hat if gamma is None else x_hat * gamma[:, None]\n"
    text = "last = [1]\n" + KERNEL.replace(
        f"    {kept}", f"    gamma = last[-1] if gamma is None else gamma\n    last[:] = [gamma]\n    {kept}", 1
    ).replace("gamma[:, None]", "(gamma[:, None] if hasattr(gamma, 'ndim') else gamma)")
    found = searched(text)
    assert "gamma=none" in str(found.wrong.line)


def test_a_case_that_the_kernel_does_not_take_is_an_error():
    write("mine.py", KERNEL + "optional = ('beta',)")
    said = run("gradcheck", "mine.py", "--case", "6x5x4/channels-first gamma=none", code=2).stderr
    assert "kernel 'mine' cannot be called so: " in said


def test_a_malformed_setting_is_one_line():
    write("mine.py", KERNEL + "optional = 'gamma'")
    said = run("gradcheck", "mine.py", code=2).stderr
    assert "its optional is 'gamma': list 'gamma' or 'beta', or both" in said
