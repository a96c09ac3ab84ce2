"""The page on layers is true: its files are judged as it says."""

import re
import shlex
from pathlib import Path

import pytest

import bncli
from bncli.loading.registry import load_kernel
from bncli.verification.finding import Verdict
from bncli.verification.layers import layer_findings
from command_line import run

PAGE = (Path(bncli.__file__).parent / "verification" / "layers" / "README.md").read_text(encoding="utf-8")
FILES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()
ROWS = dict(re.findall(r"^\| (Keras|PyTorch) \| (.*?) \|", PAGE, re.MULTILINE))


def findings(text, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(text, encoding="utf-8")
    return {finding.array: finding for finding in layer_findings.check(load_kernel(str(file)), "float32", 0)}


def test_the_file_of_functions_with_an_update_is_a_layer_of_pytorchs_convention(tmp_path):
    found = findings(FILES[1], tmp_path)
    assert {finding.verdict for finding in found.values()} == {Verdict.PASS}
    assert "as in PyTorch" in found["running statistics"].reason


def test_a_wrong_update_is_named(tmp_path):
    found = findings(FILES[1].replace("momentum * unbiased", "momentum * unbiased ** 0.5"), tmp_path)
    assert "averages the batch's unbiased standard deviation" in found["running statistics"].reason


@pytest.mark.slow
def test_the_file_of_keras_has_its_convention(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip("keras", reason="Keras is not installed")
    found = findings(FILES[0], tmp_path)
    assert {finding.verdict for finding in found.values()} == {Verdict.PASS}
    assert "momentum is the weight of the old value; the variance is biased" in found["running statistics"].reason
    assert "an empty batch leaves NaN" in found["layer state"].reason


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_runs(line):
    if "torch" in line:
        pytest.importorskip("torch", reason="PyTorch is not installed")
    command, _, remark = line.partition("#")
    run(*shlex.split(command)[1:], code=1 if "exits 1" in remark else 0)
