"""Wrong input of every kind is one line, and the right exit code."""

import dataclasses
import sys
import warnings

import numpy as np
import pytest

import bncli
from command_line import SMALL, fails, rows, run

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shape", "5y3"], "cannot read the shape '5y3'"),
        (["--shape", "5x3/float32/upside-down"], "cannot read 'upside-down'"),
        (["--shape", "1000000x1000000x1000"], "use a smaller --shape"),
        (["--shape", "999999999999x999999999999x999999999999"], "use a smaller --shape"),
        (["--dtype", "float16"], "kernel 'numpy' does not take float16: use --dtype float32 or float64"),
        (["--dtype", "int8"], "'int8' is not one of"),
        (["--layout", "sideways"], "'sideways' is not one of"),
        (["--epsilon", "-1"], "Invalid value for '--epsilon' / '--eps': '-1' is too small: give 0 or more"),
        (["--epsilon", "nan"], "Invalid value for '--epsilon' / '--eps': 'nan' is not a finite number"),
        (["--seed", "-1"], "-1 is not in the range"),
        (["--threads", "0"], "0 is not in the range"),
        (["--kernel", "nunpy"], "no kernel is called 'nunpy': did you mean 'numpy'?"),
        (["--random", "cauchy"], "'cauchy' is not one of"),
        (["--resize", "8by8", "--image", "x.png"], "'8by8' is not a size in pixels"),
        (["--resize", "8x8"], "--resize works on images: give it with --image"),
        (["--copies", "3"], "--copies works on images: give it with --image"),
        (["--image", "nothing.png"], "cannot read 'nothing.png'"),
        (["--image", "."], "there is no image in the folder '.'"),
        (["--array", "nothing.npy"], "'nothing.npy'"),
        (["--array", "a.npy", "--image", "b.png"], "--array and --image both give x: leave one out"),
        (["--array", "a.npy", "--random", "normal"], "--array and --random both give x: leave one out"),
        (["--array", "a.npy", "--shape", "5x3"], "--shape cannot be used with --array"),
        (["--preset", "rezznet"], "no preset is called 'rezznet'"),
        (["--preset", "resnet"], "did you mean 'resnet50'?"),
        (["--preset", "nothing.toml"], "cannot read the preset 'nothing.toml'"),
        (["--export", "out.xlsx"], "cannot tell the format of 'out.xlsx'"),
        (["--export", "nowhere/out.json"], "there is no folder 'nowhere'"),
        (["--format", "yaml"], "'yaml' is not one of"),
        (["--no-such-option"], "No such option"),
        (["--shape"], "requires an argument"),
        (["surplus"], "no kernel is called 'surplus': there are: "),
        (["numpy", "nunpy"], "no kernel is called 'nunpy': did you mean 'numpy'?"),
    ],
)
@pytest.mark.parametrize("command", ["forward", "gradcheck"])
def test_wrong_input_is_one_line_and_writes_nothing(command, arguments, message):
    assert message in fails(command, *arguments)


def test_an_unknown_command_names_the_nearest():
    assert fails("gradchek") == "bncli: error: no command is called 'gradchek': did you mean 'gradcheck'?"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--save", "out.txt"], "give it that suffix"),
        (["--save", "nowhere/out.npz"], "there is no folder 'nowhere'"),
        (["--save", "out.npz", "--preset", "quick"], "give one --shape"),
    ],
)
@pytest.mark.parametrize("command", ["forward", "backward"])
def test_what_cannot_be_saved_is_said_first(command, arguments, message):
    assert message in fails(command, *arguments)


def test_broken_files_are_one_line(photo):
    with open(photo("whole.png"), "rb") as whole, open("broken.png", "wb") as broken:
        broken.write(whole.read()[:200])
    with open("text.npy", "w", encoding="utf-8") as file:
        file.write("hello")
    np.save("pickled.npy", np.array([object()]), allow_pickle=True)
    np.savez("nox.npz", y=np.zeros(3))
    np.savez("misfit.npz", x=np.zeros((5, 3)), gamma=np.zeros(4))
    assert "cannot read 'broken.png' as an image" in fails("forward", "--image", "broken.png")
    assert "differ in size" in fails("forward", "--image", "whole.png", "--image", photo("b.png", (9, 9)))
    for name in ("text.npy", "pickled.npy", "nox.npz"):
        assert name in fails("forward", "--array", name)
    assert "gamma has shape (4,)" in fails("forward", "--array", "misfit.npz")


def test_control_characters_in_a_name_are_not_passed_on():
    assert "\x1b" not in fails("forward", "--image", "evil\x1b[31m.png")


@pytest.mark.slow
def test_a_kernel_that_is_not_available_is_exit_3(monkeypatch):
    from bncli.kernels import numpy as module

    missing = type(module.KERNEL)(module.forward, module.backward, available=lambda: "torch is not installed")
    monkeypatch.setattr(module, "KERNEL", missing)
    for package in ("torch", "jax"):
        monkeypatch.setitem(sys.modules, package, None)  # which take long to import
    assert fails("forward", "--kernel", "numpy", code=3).endswith("cannot run here: torch is not installed")
    result = run("gradcheck", "--kernel", "all", *SMALL, code=1)
    assert "kernel 'numpy' is left out: torch is not installed" in result.stderr
    found = {row["kernel"]: row["available"] for row in rows("kernels")}
    assert found["numpy"] == "torch is not installed"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "bncli: interrupted"),
        (MemoryError(), 2, "bncli: error: out of memory: use a smaller --shape or fewer --kernel"),
    ],
)
def test_interruption_and_lack_of_memory_are_one_line(monkeypatch, error, code, message):
    def stop(*_):
        raise error

    monkeypatch.setattr("bncli.inputs.random.SOURCE", bncli.core.source.Source(stop, "", ("uniform",), shaped=True))
    result = run("forward", code=code)
    assert result.stderr.strip() == message


def test_what_a_library_warns_of_is_one_line_that_steers_no_terminal(monkeypatch):
    source = bncli.inputs.random.SOURCE

    def load(request):
        warnings.warn("an old\nfile\x1b[31m", UserWarning, stacklevel=1)
        return source.load(request)

    monkeypatch.setattr("bncli.inputs.random.SOURCE", dataclasses.replace(source, load=load))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run("forward", *SMALL, "--kernel", "numpy").stderr == "warning: an old file\\x1b[31m\n"


def test_threads_bound_what_numba_uses_while_it_runs(monkeypatch):
    import numba

    before, bind, asked = numba.get_num_threads(), numba.set_num_threads, []
    monkeypatch.setattr(numba, "set_num_threads", lambda count: (asked.append(count), bind(count)))
    run("forward", *SMALL, "--threads", "1")
    assert asked[0] == 1
    assert numba.get_num_threads() == before
    assert "threads" in fails("forward", *SMALL, "--threads", "100000")
