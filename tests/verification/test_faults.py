"""verify describes a fault once, with its cause, the other checks that fail for it, and one line to reproduce it."""

import numpy as np

import bncli
from bncli.core.kernel import Kernel
from bncli.verification import faults
from plain_kernel import plain


def notes(report):
    return [row["note"] for row in report.rows if row["note"]]


def test_a_fault_is_described_once_and_not_in_every_row():
    report = bncli.verify(plain(var=lambda x, middle: x.var((0, 2), ddof=1, keepdims=True)), ["16x6"])
    wrong = [row for row in report.rows if row["verdict"] == "WRONG"]
    assert len(wrong) > 10
    named = [note for note in notes(report) if "unbiased" in note]
    assert len(named) == 1
    assert named[0].startswith("plain: uniform: ")
    assert "the variance is the unbiased one, divided by 15, one less than the 16 samples" in named[0]
    assert "; likewise in " in named[0]
    assert len(report.failures) == len(wrong)  # each failed check is counted all the same
    assert len(notes(report)) < 6


def test_two_faults_are_described_separately():
    kernel = plain(
        y=lambda gamma, x_hat, beta: gamma * x_hat,
        infer=lambda x, gamma, beta, mean, var, epsilon: gamma * (x - mean) / np.sqrt(var + epsilon),
    )
    only_y = bncli.verify(plain(y=lambda gamma, x_hat, beta: gamma * x_hat), ["16x6"], random=["normal"])
    assert any("beta is forgotten" in note for note in notes(only_y))
    both = bncli.verify(kernel, ["16x6"], random=["normal", "uniform"])
    assert any("beta is forgotten" in note for note in notes(both))


def test_a_kernel_that_raises_says_so_once():
    def forward(x, gamma, beta, epsilon):
        raise RuntimeError("no")

    line = forward.__code__.co_firstlineno + 1

    report = bncli.verify(Kernel(forward, forward, name="raising"), ["16x6"])
    assert [note.partition("; likewise")[0] for note in notes(report)] == [
        f"kernel 'raising': forward raised RuntimeError: no (test_faults.py, line {line})"
    ]


def test_no_more_is_diagnosed_than_there_is_time_for(monkeypatch):
    monkeypatch.setattr(faults, "SECONDS", 0.0)
    report = bncli.verify(plain(var=lambda x, middle: x.var((0, 2), ddof=1, keepdims=True)), ["16x6"])
    assert not any("unbiased" in note for note in notes(report))
    assert notes(report)


def test_a_right_kernel_has_no_fault():
    assert notes(bncli.verify(plain(), ["16x6"], random=["normal"])) == []


def test_what_may_be_wrong_by_chance_has_no_cause_but_chance():
    rng = np.random.default_rng(0)
    kernel = plain(sum_dy=lambda dy: dy.sum((0, 2)) * (1 + (rng.random() < 0.3)))
    (note,) = notes(bncli.verify(kernel, ["16x6"]))
    assert note.startswith("plain: contract: dbeta differs from call to call, on the same data; wrong too: ")
