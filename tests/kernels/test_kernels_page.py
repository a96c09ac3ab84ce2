"""The pages on kernels and on loading are true: each file that they show passes gradcheck."""

import re
from pathlib import Path

import pytest

import bncli
from command_line import run

ROOMS = Path(bncli.__file__).parent
PAGES = [(ROOMS / room / "README.md").read_text(encoding="utf-8") for room in ("kernels", "loading")]
FILES = [text for page in PAGES for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]
FRAMEWORKS = ("torch", "jax")


@pytest.mark.parametrize("text", FILES, ids=[text.partition("\n")[0] for text in FILES])
def test_a_file_of_the_page_passes(text, tmp_path, monkeypatch):
    for framework in FRAMEWORKS:
        if f"import {framework}" in text:
            pytest.importorskip(framework)
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(text, encoding="utf-8")
    printed = run("gradcheck", "mine.py", "--shape", "6x5x4", "--layout", "channels-first", "--search", "0").stdout
    assert ("dx of inference" in printed) is ("infer_backward" in text)


def test_the_pages_show_a_file_of_each_framework():
    assert [next((name for name in FRAMEWORKS if f"import {name}" in text), "numpy") for text in FILES] == [
        "numpy",
        "torch",
        "jax",
        "numpy",
    ]
