"""The templates of ``bncli kernels --template``: each passes as printed."""

import shutil
from pathlib import Path

import pytest

from bncli.commands import kernels
from command_line import run

# Triton's runs in a process of its own: test_triton.
NAMES = sorted({entry.name.removesuffix(".txt") for entry in kernels.TEMPLATES.iterdir()} - {"triton"})


@pytest.mark.parametrize("name", NAMES)
def test_a_template_passes_as_printed(name, tmp_path, monkeypatch):
    text = run("kernels", "--template", name).stdout
    for framework in ("torch", "jax"):
        if f"import {framework}\n" in text:
            pytest.importorskip(framework)
    if name == "c" and not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(text, encoding="utf-8")
    run("gradcheck", "mine.py", "--shape", "6x5x4", "--layout", "channels-first", "--search", "0")


def test_without_a_word_it_is_numpys():
    assert run("kernels", "--template").stdout == run("kernels", "--template", "numpy").stdout
    assert "'nope' is not one of 'c', 'jax', " in run("kernels", "--template", "nope", code=2).stderr
