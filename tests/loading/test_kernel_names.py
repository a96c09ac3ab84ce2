"""Kernels by their names: modules, packages and entry points."""

import json
import os

import numpy as np
import pytest

from bncli import plugins
from bncli.errors import InputError, Unavailable
from bncli.loading.registry import kernel_names, load_kernel, registered_kernel
from command_line import run
from user_files import KERNEL, SMALL, assert_right, fails, write

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


def test_a_module_of_the_current_folder_or_a_package_is_a_kernel(make_case):
    write("mine.py", KERNEL)
    write("pack/__init__.py", "")
    write("pack/deep.py", "from .part import forward, backward\n")
    write("pack/part.py", KERNEL)
    for spec, name in (("mine", "mine"), ("pack.deep", "deep"), ("bncli.kernels.numpy", "numpy")):
        kernel = load_kernel(spec)
        assert (kernel.name, kernel.spec) == (name, spec)
        assert_right(kernel, make_case("6x5"))


def test_a_built_in_name_wins_over_a_module(make_case):
    write("numpy.py", KERNEL)
    assert load_kernel("numpy").file == plugins.load("bncli.kernels", "numpy").__file__
    assert load_kernel("./numpy.py").file == os.path.realpath("numpy.py")


@pytest.mark.parametrize("spec", ["folder", "no.such", "json.decoder.no", "a..b", ".", "", "sys"])
def test_a_name_that_nothing_has_is_unknown(spec):
    os.mkdir("folder")
    known = ", ".join(kernel_names())
    assert fails("forward", "--kernel", spec) == f"bncli: error: no kernel is called {spec!r}: there are: {known}"


def test_an_unknown_name_tells_the_nearest():
    assert fails("gradcheck", "--kernel", "nunpy") == (
        "bncli: error: no kernel is called 'nunpy': did you mean 'numpy'?"
    )


def test_a_module_that_misses_another_is_not_said_to_be_unknown():
    write("mine.py", "x = 1\nimport no_such_thing\n")
    why = "it raised ModuleNotFoundError: No module named 'no_such_thing' (mine.py, line 2)"
    assert fails("forward", "--kernel", "mine") == f"bncli: error: cannot load 'mine' as a kernel: {why}"


def test_kernels_of_one_name_are_distinguished_by_their_folders():
    for folder in ("a", "b"):
        write(f"{folder}/mine.py", KERNEL)
    specs = ("a/mine.py", "b/mine.py", "numpy", "bncli.kernels.numpy")
    result = run("forward", *SMALL, *(word for spec in (*specs, *specs) for word in ("--kernel", spec)))
    names = [line.split()[0] for line in result.stdout.splitlines() if " y " in line]
    assert names == list(specs)


def test_a_published_kernel_is_registered(publish, make_case):
    export = "\nfrom bncli.core.kernel import Kernel\nimport types\n"
    publish(
        "fast = fake_fast",
        "slow = fake_fast:own",
        "odd = fake_fast:space",
        fake_fast='"""Fast."""\n' + KERNEL + export + "own = Kernel(forward, backward, summary='Slow.')\n"
        "space = types.SimpleNamespace(forward=forward, backward=backward)\n",
    )
    for name, summary in (("fast", "Fast."), ("slow", "Slow."), ("odd", "Fast.")):
        kernel = load_kernel(name)
        assert (kernel.name, kernel.spec, kernel.summary) == (name, name, summary)
        assert os.path.basename(kernel.file) == "fake_fast.py"
        assert_right(kernel, make_case("6x5"))
    assert kernel_names() == (*plugins.names("bncli.kernels"), "fast", "odd", "slow")
    assert "did you mean 'slow'?" in fails("forward", "--kernel", "slwo")
    with pytest.raises(InputError, match="no kernel is called 'slwo': did you mean 'slow'"):
        registered_kernel("slwo")
    write("mine.toml", 'kernel = "fast"\n')
    assert "fast" in run("forward", *SMALL, "--preset", "mine.toml").stdout


BROKEN = {
    "gone = fake_gone": "cannot load 'fake_gone' as a kernel: it raised ModuleNotFoundError: No module",
    "less = fake_empty:A": "cannot load 'fake_empty:A' as a kernel: it raised AttributeError: module 'fake_empty'",
    "bare = fake_empty": "cannot load 'fake_empty' as a kernel: it has no forward and no backward",
    "cruel = fake_cruel": "cannot load 'fake_cruel' as a kernel: it raised SystemExit: 1 (fake_cruel.py, line 2)",
    "gpu = fake_gpu": "no GPU",
}


@pytest.mark.parametrize(("point", "why"), BROKEN.items(), ids=BROKEN.values())
def test_a_broken_entry_point_is_not_available_and_breaks_nothing(publish, point, why):
    publish(
        point,
        fake_empty="",
        fake_cruel="import sys\nsys.exit(1)\n",
        fake_gpu="available = lambda: 'no GPU'\n" + KERNEL,
    )
    name = point.partition(" ")[0]
    assert registered_kernel(name).available().startswith(why)
    rows = json.loads(run("kernels", "--format", "json").stdout)["rows"]
    assert next(row["available"] for row in rows if row["kernel"] == name).startswith(why)
    assert fails("forward", "--kernel", name, code=3).startswith(
        f"bncli: error: kernel {name!r} cannot run here: {why}"
    )
    with pytest.raises((Unavailable, IndexError)):
        registered_kernel(name).forward(*np.ones((3, 1)), 0)
    left_out = run("forward", "--shape", "5x40", "--kernel", "all").stderr
    assert f"warning: kernel {name!r} is left out: {why}" in left_out


def test_a_built_in_name_is_never_taken_over(publish):
    publish("numpy = fake_numpy", fake_numpy=KERNEL)
    assert kernel_names() == plugins.names("bncli.kernels")
    assert load_kernel("numpy").file == plugins.load("bncli.kernels", "numpy").__file__


def test_entry_points_are_looked_for_only_when_needed(monkeypatch):
    def refuse(group):
        raise AssertionError("looked for entry points")

    monkeypatch.setattr(plugins, "published", refuse)
    write("mine.py", KERNEL)
    assert load_kernel("numpy").name == "numpy"
    assert load_kernel("mine.py").name == "mine"
    with pytest.raises(AssertionError, match="looked for"):
        load_kernel("anything")
