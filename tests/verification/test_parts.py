"""Functions of parts of a batch: right ones pass in every order, and each fault is named."""

from dataclasses import replace

import numpy as np
import pytest

from bncli.core.kernel import Parts
from bncli.core.problem import Problem
from bncli.core.source import draw
from bncli.verification._mutants.parts_faults import MUTANTS, PARTS
from bncli.verification.finding import Verdict
from bncli.verification.parts import part_checks
from bncli.verification.parts.merging import orders
from command_line import rows, run
from plain_kernel import plain

NAMES = ("unequal parts", "one sample", "an empty part", "2,000 parts", "far from 0")
SAID = {
    "parts-mean-of-means": "mean weighs the parts alike, and not by their counts",
    "parts-weights-swapped": "mean weighs the mean of each part by the count of the other",
    "parts-integer-division": "mean is that of a alone, as of count_b // count in integers",
    "parts-between-missing": "M2 lacks the term between the parts, (mean_b - mean_a)² · count_a · count_b / count",
    "parts-between-subtracted": "M2 subtracts the term between the parts",
    "parts-between-not-divided": "M2 has a term between the parts that is not divided by the count",
    "parts-averaged-m2": "M2 is averaged by the counts, as biased variances are",
    "parts-unbiased-mixed": "M2 is n / (n - 1) times too large: a biased and an unbiased variance are mixed",
    "parts-empty-nan": "an empty part gives 0 / 0; it depends on the order: wrong in balanced trees",
    "parts-b-is-one-sample": "mean takes b for one sample; M2 takes b for one sample",
    "parts-merge-cancels": "digits cancel, as in E[x²] - E[x]²: M2 is the sum of (x - mean)²",
    "parts-merge-writes": "merge writes into its argument 1",
    "parts-variance": "M2 is the biased variance, M2 / count",
    "parts-count-items": "count is that of the items, N, and not of the samples, N · S",
    "parts-stats-cancel": "digits cancel, as in E[x²] - E[x]²: M2 is the sum of (x - mean)²",
    "parts-own-mean": "sum_dy_x_hat takes the mean of each part, and not that of the batch",
    "parts-no-inv-std": "sum_dy_x_hat lacks inv_std: it is the sum of dy · (x - mean)",
}
FILE = """
import numpy as np
SAMPLES = (0, 2)
def stats(x):
    count = x.shape[0] * x.shape[2]
    mean = x.sum(SAMPLES) / max(count, 1)
    return count, mean, ((x - mean[:, None]) ** 2).sum(SAMPLES)
def merge(a, b):
    count, shift = a[0] + b[0], b[1] - a[1]
    share = b[0] / max(count, 1)
    return count, a[1] + shift * share, a[2] + b[2] + shift**2 * (a[0] * share)
"""


def case_of(dtype, seed=0):
    return draw("normal", Problem.parse(f"16x6/per-activation/{dtype}/eps=1e-05"), seed)


def check(parts, dtype="float32", seed=0):
    with np.errstate(all="ignore"):
        return part_checks.check(replace(plain(), name="own", parts=parts), case_of(dtype, seed))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(3))
def test_the_right_functions_pass_with_digits_to_spare(dtype, seed):
    found = check(PARTS, dtype, seed)
    assert [each.method for each in found] == [f"parts: {name}" for name in NAMES for _ in range(3)]
    assert {each.verdict for each in found} == {Verdict.PASS}
    assert max(each.share for each in found) < 0.3
    assert all(each.plain_error < (0.01 if dtype == "float32" else 1e-8) for each in found)


@pytest.mark.parametrize("missing", Parts._fields)
def test_any_of_the_functions_may_be_missing(missing):
    found = check(PARTS._replace(**{missing: None}))
    assert {each.verdict for each in found} == {Verdict.PASS}
    assert {each.array.partition(".")[0] for each in found} == set(Parts._fields) - {missing}


def test_a_kernel_without_them_has_no_rows():
    assert part_checks.check(plain(), case_of("float32")) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_a_fault_is_wrong_and_named(mutant, dtype):
    with np.errstate(all="ignore"):
        found = part_checks.check(mutant.kernel, case_of(dtype))
    wrong = [each.reason for each in found if each.verdict is Verdict.WRONG]
    assert any(SAID[mutant.name] in reason for reason in wrong), wrong
    passed = {each.array.partition(".")[0] for each in found if each.verdict is Verdict.PASS}
    assert len(passed) >= 2 or "writes" in mutant.name


def test_each_order_merges_every_part_once():
    def merge(a, b):
        return f"({a}{b})"

    for count in (1, 2, 3, 7, 12):
        parts = [chr(ord("a") + number) for number in range(count)]
        merged = {name: order(parts, merge) for name, order in orders(count).items()}
        assert all(sorted(each.replace("(", "").replace(")", "")) == parts for each in merged.values())
    assert (merged["left folds"][:16], merged["right folds"][:6]) == ("(((((((((((ab)c)", "(a(b(c")
    assert merged["folds of b with a"].startswith("(l(k(")
    assert merged["balanced trees"].startswith("((((ab)(cd))")


def test_a_kernel_that_refuses_an_empty_part_is_not_wrong():
    def stats(x):
        if not len(x):
            raise ValueError("an empty batch has no statistics")
        return PARTS.stats(x)

    found = check(PARTS._replace(stats=stats))
    assert {each.verdict for each in found if "empty" in each.method} == {Verdict.REFUSED}
    assert {each.verdict for each in found if "empty" not in each.method} == {Verdict.PASS}


@pytest.mark.parametrize(
    ("stats", "reason"),
    [
        (lambda x: x.mean((0, 2)), "stats returned one value, not three: return count, mean and M2"),
        (lambda x: (1, x.mean((0, 2), keepdims=True), 0), "the mean of stats has shape (1, 16, 1), expected (16,)"),
        (lambda x: 1 / 0, "stats raised ZeroDivisionError: division by zero"),
    ],
)
def test_a_malformed_result_is_named(stats, reason):
    found = check(PARTS._replace(stats=stats))
    assert all(each.verdict is Verdict.WRONG and reason in each.reason for each in found)


def test_verify_has_rows_of_a_users_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    template = run("kernels", "--template").stdout
    (tmp_path / "mine.py").write_text(template + FILE, encoding="utf-8")
    options = ("--layout", "channels-first", "--dtype", "float64", "--search", "0")
    found = [row for row in rows("verify", "mine.py", *options) if row["check"].startswith("parts: ")]
    assert [row["check"] for row in found] == [f"parts: {name}" for name in NAMES]
    (tmp_path / "wrong.py").write_text(template + FILE.replace(" + shift**2 * (a[0] * share)", ""), encoding="utf-8")
    for how in ((), ("--isolate",)):
        said = " ".join(run("verify", "wrong.py", *options, *how, code=1).stdout.split())
        assert said.count("lacks the term between the parts") == 1
        assert "likewise in parts: one sample, parts: an empty part, parts: 2,000 parts" in said


@pytest.mark.parametrize("line", ["from functools import reduce", "def stats(x): return x.mean()", "merge = 3"])
def test_other_functions_of_these_names_are_not_judged(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(run("kernels", "--template").stdout + line + "\n", encoding="utf-8")
    options = ("--shape", "6x5x4/channels-first/float64", "--random", "normal", "--search", "0")
    assert not [row for row in rows("verify", "mine.py", *options) if row["check"].startswith("parts: ")]


def test_functions_of_tensors_are_judged_too(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="these kernels are PyTorch's")
    monkeypatch.chdir(tmp_path)
    tensors = FILE.replace("import numpy as np", "import torch\nfrom torch.nn import BatchNorm1d")
    (tmp_path / "mine.py").write_text(tensors + "class MyBN(BatchNorm1d):\n    pass\n", encoding="utf-8")
    options = ("--shape", "6x5x4/channels-first/float32", "--random", "normal", "--search", "0")
    found = [row for row in rows("verify", "mine.py:MyBN", *options) if row["check"].startswith("parts: ")]
    assert [(row["check"], row["verdict"]) for row in found] == [(f"parts: {name}", "PASS") for name in NAMES]
