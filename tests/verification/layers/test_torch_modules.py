"""Modules of torch as layers: faults of public kinds are WRONG and named, and torch's own are right."""

from pathlib import Path

import pytest

from bncli.loading.registry import load_kernel
from bncli.verification.finding import Verdict
from bncli.verification.layers import layer_findings
from module_files import FAULTS, module

torch = pytest.importorskip("torch", reason="these layers are PyTorch's")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def findings(text, seed=0):
    Path("mine.py").write_text(text, encoding="utf-8")
    return layer_findings.check(load_kernel("mine.py"), "float32", seed)


def wrong(found):
    return "; ".join(finding.reason for finding in found if finding.verdict is Verdict.WRONG)


def test_the_right_module_passes():
    found = findings(module())
    assert wrong(found) == ""
    assert "as in PyTorch" in found[0].reason


def test_there_are_at_least_25_faults():
    assert len(FAULTS) >= 25


@pytest.mark.parametrize(("words", "parts"), FAULTS.items(), ids=list(FAULTS))
def test_a_fault_is_wrong_and_named(words, parts):
    assert words in wrong(findings(module(**parts)))


@pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d"])
def test_torchs_own_modules_pass(name):
    kernel = load_kernel(f"torch.nn:{name}")
    for seed in range(10):
        found = layer_findings.check(kernel, ("float32", "float64")[seed % 2], seed, "pytorch")
        assert {finding.verdict for finding in found} == {Verdict.PASS}


def test_an_instance_gets_the_number_of_features_that_is_asked_for():
    Path("mine.py").write_text("import torch\nbn = torch.nn.BatchNorm2d(3, momentum=0.2)\n", encoding="utf-8")
    found = layer_findings.check(load_kernel("mine.py:bn"), "float32", 0)
    assert {finding.verdict for finding in found} == {Verdict.PASS}


def test_no_running_statistics_are_said_and_no_fault():
    made = "nn.BatchNorm2d(num_features, track_running_stats=False)"
    text = f"from torch import nn\ndef make(num_features):\n    return {made}\n"
    Path("mine.py").write_text(text, encoding="utf-8")
    found = layer_findings.check(load_kernel("mine.py:make"), "float32", 0)
    assert wrong(found) == ""
    assert found[0].verdict is Verdict.NOT_TRIED
