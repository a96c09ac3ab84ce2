"""What keeps bncli easy to keep: documented, typed for its users, of one version, told in the README."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bncli

PACKAGE = Path(bncli.__file__).parent
ROOT = PACKAGE.parent
README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PUBLIC = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if not any(part.startswith("_") for part in path.relative_to(PACKAGE).with_suffix("").parts)
]
# What every plugin of a room has: bncli.core.kernel, bncli.kernels._framework, bncli.arrays and bncli.loading.kinds
# say what each must do.
OF_A_PLUGIN = {
    "kernels": {
        *("forward", "backward", "infer", "infer_forward", "infer_backward"),
        *("statistics", "available", "set_threads", "Compiled"),
    },
    "arrays": {
        *("available", "hardware", "holds", "take", "give", "wait", "refresh", "write_back", "copy", "add"),
        *("scope", "set_threads"),
    },
    "loading/kinds": {"is_one", "kernel"},
}
# And every batch in blocks: bncli.kernels.dask.normalization.Blocks says what each does.
OF_BLOCKS = {
    f"{kind}.{name}" for kind in ("Stored", "InMemory") for name in ("moments", "sums", "normalize", "propagate")
}
# And what runs their tasks: bncli.kernels.dask.runners.Threads says it.
OF_BLOCKS |= {f"Workers.{method}" for method in ("placed", "sent", "mapped", "results", "fill")}


def undocumented(source):
    """The public functions, classes and methods of a module that have no docstring, by name; "" is the module."""

    def inside(node, prefix=""):
        for child in node.body:
            if not isinstance(child, (ast.FunctionDef, ast.ClassDef)) or child.name.startswith("_"):
                continue
            if not ast.get_docstring(child):
                yield prefix + child.name
            if isinstance(child, ast.ClassDef):
                yield from inside(child, f"{child.name}.")

    tree = ast.parse(source)
    return [*([] if ast.get_docstring(tree) else [""]), *inside(tree)]


def test_everything_public_is_documented():
    missing = []
    for path in PUBLIC:
        file = path.relative_to(PACKAGE)
        room = file.parent.as_posix()
        allowed = OF_BLOCKS | next((names for room_of, names in OF_A_PLUGIN.items() if room.startswith(room_of)), set())
        missing += [(str(file), name) for name in undocumented(path.read_text(encoding="utf-8")) if name not in allowed]
    assert missing == []


def test_the_walk_sees_what_is_not_documented():
    assert len(PUBLIC) > 80
    source = """
"It says."
def said():
    "It says."
    def inner(): ...
def unsaid(): ...
def _private(): ...
class Thing:
    "It says."
    def method(self): ...
    def __len__(self): ...
"""
    assert undocumented(source) == ["unsaid", "Thing.method"]
    assert undocumented("x = 1") == [""]


PROGRAM = """
import numpy as np
from bncli import BatchNorm, Kernel, Problem, bench, compare, gradcheck, load_kernel, verify

problem: Problem = Problem.parse("8x16/float32")
kernel: Kernel = load_kernel("numpy")
x = np.ones(problem.shape, problem.dtype)
y, saved = kernel.forward(problem.canonical(x), x[0], x[0], problem.epsilon)
dx, dgamma, dbeta = kernel.backward(y, saved)
total: float = float(dx.sum())

layer = BatchNorm(scales=np.ones(16), bias=np.zeros(16), kernel=kernel)
output = layer.forward(inpt=x)
names: list[str] = [failure for failure in gradcheck(kernel, problem).failures]
verify("numpy", ["8x16"]).raise_if_failed()
compare("old.json", "new.json", fail_slower=1.1).raise_if_failed()
rows = bench("numpy", ["8x16"]).rows
"""


def check_types(folder, program):
    (folder / "user.py").write_text(program, encoding="utf-8")
    # Where bncli is not installed, the checker must be told where it is.
    place = {} if "site-packages" in ROOT.parts else {"MYPYPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", str(folder), "user.py"],
        cwd=folder, env={**os.environ, **place}, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip


@pytest.mark.slow
def test_the_types_are_complete_for_a_strict_user(tmp_path):
    pytest.importorskip("mypy", reason="the type checker is not installed")
    assert (PACKAGE / "py.typed").is_file()
    assert check_types(tmp_path, PROGRAM).stdout.startswith("Success")
    wrong = check_types(
        tmp_path, PROGRAM + 'bench(numpy=3)\nlayer.forward(inpt="x", traning=True)\nlength: int = problem\n'
    )
    assert wrong.stdout.count("error:") == 3, wrong.stdout


def test_there_is_one_version_and_the_readme_says_what_it_changed():
    assert re.fullmatch(r"\d+\.\d+\.\d+", bncli.__version__)
    newest = re.search(r"^## Changes\n\n\*\*(\S+)\*\*", README, re.MULTILINE)
    assert newest
    assert newest[1] == bncli.__version__
    pyproject = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in pyproject
    assert not re.search(r"^version\s*=", pyproject, re.MULTILINE)


def test_contributing_names_the_room_of_each_thing_that_can_be_added():
    contributing = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    for room in ("kernels", "inputs", "output/formats", "output/charts", "commands"):
        assert f"`bncli/{room}`" in contributing
        assert (PACKAGE / room).is_dir()
    assert "`configs`" in contributing
