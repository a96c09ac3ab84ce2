"""The rule around a WRONG case: the true one for faults of many kinds, and none where none fits."""

import dataclasses

import numpy as np
import pytest

from bncli.verification.finding import Verdict
from bncli.verification.search import confirming, narrowing, searching, trial
from bncli.verification.search.case_line import CaseLine
from search_kernels import RIGHT, WRONG, backward, changed, doubled, first_epsilon, in_forward, infer, later, ring

pytestmark = pytest.mark.usefixtures("_time_to_narrow")


def narrowed(make, case):
    kernel = dataclasses.replace(make(), anew=make)
    wrong = trial.run(make(), CaseLine.parse(case))
    assert wrong.verdict is Verdict.WRONG
    return narrowing.narrow(kernel, wrong, (), lambda line: None)


def of_x(when):
    return lambda: changed(lambda x: when(*x.shape), doubled)


def of_dy(when):
    return lambda: changed(lambda dy: when(*dy.shape), doubled, of="dx")


def scaled_infer(when):
    def wrong(x, *given, out=None):
        y = infer(x, *given, out=out)
        return 2 * y if when(x) else y

    return lambda: dataclasses.replace(RIGHT, infer=wrong)


def clipped_dy(dy):
    norms = np.sqrt((dy * dy).sum((0, 2), keepdims=True))
    return dy / np.maximum(norms / 50, 1)


SHAPES = {
    "where inner is a multiple of 4": (of_x(lambda n, f, s: s % 4 == 0), "6x7x8/channels-first"),
    "where N is even": (of_dy(lambda n, f, s: n % 2 == 0), "6x7x8/channels-first"),
    "where F is a multiple of 32": (of_x(lambda n, f, s: f % 32 == 0), "6x64"),
    "where F is a power of two": (of_x(lambda n, f, s: f & (f - 1) == 0), "6x64"),
    "where the number of samples is not a multiple of 5": (of_x(lambda n, f, s: n * s % 5 > 0), "6x7"),
    "where N leaves 2 when divided by 3": (of_dy(lambda n, f, s: n % 3 == 2), "8x4"),
    "from 257 samples on": (of_dy(lambda n, f, s: n * s > 256), "20x3x30/channels-first"),
    "from 5,001 elements on": (of_x(lambda n, f, s: n * f * s > 5000), "60x100"),
    "up to 9 items": (of_x(lambda n, f, s: n < 10), "6x7x8/channels-first"),
    "with one item": (of_x(lambda n, f, s: n == 1), "1x7x8/channels-first"),
    "with one sample": (lambda: changed(lambda x: x.shape[0] * x.shape[2] == 1, doubled), "1x7"),
    "with exactly 7 features": (of_x(lambda n, f, s: f == 7), "9x7"),
    "where N = F": (of_x(lambda n, f, s: n == f), "7x7"),
    "where N is odd, from 65 items on": (of_x(lambda n, f, s: n % 2 == 1 and n > 64), "99x4"),
    "where inner is odd, from 3 inner positions on": (of_x(lambda n, f, s: s % 2 == 1 < s), "4x4x5/channels-first"),
    "where F is a power of two, from 8 features on, with more than one inner position": (
        of_x(lambda n, f, s: f & (f - 1) == 0 and f > 7 and s > 1), "4x16x5/channels-first",
    ),
    "where F is a multiple of 10, from 110 features on": (of_x(lambda n, f, s: f % 10 == 0 and f > 100), "6x150"),
    "where F is not a multiple of 43": (of_dy(lambda n, f, s: f % 43 > 0), "6x7"),
    "where inner is a power of two, from 256 inner positions on": (
        of_x(lambda n, f, s: s & (s - 1) == 0 and s > 200), "1x3x256/channels-first",
    ),
    "where the number of samples is a multiple of 15 and inner is not a multiple of 46": (
        of_x(lambda n, f, s: n * s % 15 == 0 and s % 46 > 0), "15x7",
    ),
}  # fmt: skip


def few(rules, *quick):
    """``rules``, slow but for ``quick``."""
    return [*quick, *(pytest.param(rule, marks=pytest.mark.slow) for rule in rules if rule not in quick)]


@pytest.mark.parametrize(
    "rule",
    few(SHAPES, "where inner is a multiple of 4", "where N = F", "where inner is odd, from 3 inner positions on"),
)
def test_the_rule_of_a_shape_is_the_true_one(rule):
    found = narrowed(*SHAPES[rule])
    assert found.rule.startswith(f"wrong {rule} (")
    assert " tried), right elsewhere (" in found.rule


OTHERS = {
    "in float32": (
        lambda: changed(lambda x: x.dtype == np.float32, doubled), "6x7/per-activation/float32/eps=1e-05"
    ),
    "where gamma is 1 everywhere": (WRONG["gamma all 1"], "6x7 gamma=ones"),
    "where the largest |gamma| is above about 10": (WRONG["gamma clipped at 10"], "9x4 gamma=x100"),
    "where the largest |x| is above about 66,000": (WRONG["x clipped at 65,504"], "9x4 data=x1e6"),
    "where the largest norm of a feature's dy is above about 50": (
        lambda: dataclasses.replace(RIGHT, backward=lambda dy, saved, *, out=None: backward(clipped_dy(dy), saved)),
        "9x4 dy=x1000",
    ),
    "where epsilon is 1e-13 or less": (WRONG["epsilon at least 1e-12"], "9x4/eps=0"),
    "where the smallest |gamma| is below about 0.001": (
        lambda: in_forward(lambda x, g, b, e: (x, np.where(np.abs(g) < 1e-3, 1e-3, g), b, e)), "9x4 gamma=zeros"
    ),
    "where the smallest gamma is below 0": (
        lambda: in_forward(lambda x, g, b, e: (x, np.abs(g), b, e)), "6x7"
    ),
    "where epsilon is 1e-05 or less": (lambda: in_forward(lambda x, g, b, e: (x, g, b, max(e, 1e-4))), "6x7"),
    "where x holds NaN": (WRONG["NaN becomes 0"], "9x4 data=nan"),
    "where x is subnormal": (WRONG["subnormal x becomes 0"], "6x7/float32 data=subnormal beta=zeros"),
    "where beta is 0 everywhere": (
        lambda: in_forward(lambda x, g, b, e: (x, g if b.any() else 2 * g, b, e)), "6x7 beta=zeros"
    ),
    "where dy is not contiguous": (WRONG["backward takes dy for contiguous"], "8x5x6/channels-first memory=dy[::2]"),
    "where x is x[::2]": (
        scaled_infer(lambda x: x[0].flags.c_contiguous and x.strides[0] > x[0].nbytes),
        "8x5x6/channels-first memory=x[::2]",
    ),
    "when nine or more forwards come before their backwards": (lambda: ring(8), "6x7 history=20f20b"),
    "from the second backward on": (WRONG["dgamma adds up"], "6x7 history=3f3b"),
    "from the 21st backward on": (lambda: later(20), "6x7 history=40(fb)"),
    "from the second backward of one forward on": (WRONG["backward damages saved"], "6x7 history=f2bi"),
    "after calls with another epsilon": (first_epsilon, "6x7 history=efob"),
    "after the caller writes into y": (WRONG["backward needs y as it was"], "6x7x5/channels-first history=fybi"),
}  # fmt: skip


@pytest.mark.parametrize(
    "rule",
    few(
        OTHERS,
        "where gamma is 1 everywhere",
        "where the smallest gamma is below 0",
        "where epsilon is 1e-13 or less",
        "where x is x[::2]",
        "when nine or more forwards come before their backwards",
    ),
)
def test_the_rule_of_what_a_case_holds_or_does_is_the_true_one(rule):
    found = narrowed(*OTHERS[rule])
    assert found.rule.startswith(f"wrong {rule} ("), found.rule


def test_what_is_always_wrong_is_said_to_be():
    assert narrowed(lambda: changed(change=doubled), "6x7/float32").rule.startswith("wrong on every problem tried (")


def test_no_rule_is_stated_where_none_fits():
    found = narrowed(of_x(lambda n, f, s: (7 * n + 5 * f + 3 * s) % 11 in (0, 3, 4)), "4x2x2/channels-first")
    assert found.rule.startswith("no simple rule fits the ")
    assert "; the largest that is right: " in found.rule


@pytest.mark.slow
def test_a_rule_on_shapes_is_not_stated_where_the_numbers_matter_too():
    def prepare(x, g, b, e):
        return x, np.abs(g) if x.shape[1] % 22 == 0 else g, b, e

    assert narrowed(lambda: in_forward(prepare), "6x22").rule.startswith("no rule is certain: of the ")


def test_no_rule_is_stated_before_it_is_sure(monkeypatch):
    monkeypatch.setattr(narrowing, "RULING", 0)
    assert narrowed(of_x(lambda n, f, s: f % 32 == 0), "6x64").rule == ""


@pytest.mark.slow
def test_the_rule_is_the_same_each_time():
    first, again = (narrowed(*OTHERS["in float32"]) for _ in range(2))
    assert (first.rule, first.smallest.line) == (again.rule, again.smallest.line)


def test_chance_is_told_from_a_rule(monkeypatch):
    monkeypatch.setattr(confirming, "COUNTED", 60)
    monkeypatch.setattr(confirming, "COUNTING", np.inf)
    monkeypatch.setattr(narrowing, "LONGEST", np.inf)
    rng = np.random.default_rng(1)

    def make():
        return changed(lambda dy: rng.random() < 0.1, doubled, of="dgamma")

    kernel = dataclasses.replace(make(), anew=make)
    line = CaseLine.parse("30x20/float32")
    wrong = next(tried for _ in range(100) if (tried := trial.run(make(), line)).verdict is Verdict.WRONG)
    found = narrowing.narrow(kernel, wrong, (), lambda line: None)
    assert found.rule.startswith("wrong in one call in about ")
    assert found.rule.endswith(", on the same data: a race, or memory never written")
    assert 5 <= int(found.rule.split()[6].rstrip(",")) <= 25
    assert found.smallest.line.problem.size < 100
    assert trial.run(make(), found.smallest.line).verdict is Verdict.WRONG


def test_no_rate_is_said_of_what_is_seldom_wrong(monkeypatch):
    monkeypatch.setattr(confirming, "COUNTED", 20)
    monkeypatch.setattr(narrowing, "RUNS", 20)
    turns = iter([True, False, True, False, False, True, *[False] * 1000])

    def make():
        return changed(lambda dy: next(turns), doubled, of="dgamma")

    wrong = trial.run(make(), CaseLine.parse("30x20"))
    found = narrowing.narrow(dataclasses.replace(make(), anew=make), wrong, (), lambda line: None)
    assert found.rule == "wrong in some calls, on the same data: a race, or memory never written"


def test_one_case_that_is_asked_for_has_its_rule():
    make = of_x(lambda n, f, s: f % 32 == 0)
    outcome = searching.one_case(dataclasses.replace(make(), anew=make), CaseLine.parse("6x64/float32"))
    assert outcome.rule.startswith("wrong where F is a multiple of 32 (")
    assert str(outcome.wrong.line).startswith("6x64/")


def test_one_case_has_no_rule_where_the_kernel_cannot_be_loaded_anew():
    assert searching.one_case(of_x(lambda n, f, s: f % 32 == 0)(), CaseLine.parse("6x64/float32")).rule == ""
