"""gradcheck, verify and selftest: what they check unless told, and what they show."""

import shlex
import sys

import numpy as np
import pytest

from bncli.loading.registry import kernel_names, registered_kernel
from bncli.verification import invariants
from command_line import SMALL, fails, invoke, rows, run

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


def test_gradcheck_passes_right_kernels_and_checks_every_element():
    found = rows("gradcheck", "--kernel", "numpy", "--kernel", "numba", "--kernel", "reference")
    assert {row["verdict"] for row in found} == {"PASS"}
    assert [row["checked"] for row in found if row["array"] == "dx"] == [150_000] * 6
    assert {row["method"] for row in found if row["array"] == "dx"} == {"reference", "complex-step", "central"}


def test_gradcheck_rejects_the_published_listing():
    result = run("gradcheck", "--kernel", "numpynet", "--kernel", "numpy", *SMALL, code=1)
    assert result.stderr == "bncli: numpynet: dx is WRONG\n"
    assert "numpynet: dx is wrong: at (" in result.stdout


def test_gradcheck_of_a_vacuous_gradient_is_no_pass():
    x = np.random.default_rng(0).random((9, 4))
    np.savez("x.npz", x=x, dy=np.ones_like(x))
    result = run("gradcheck", "--kernel", "numpy", "--array", "x.npz", code=1)
    assert "dx is UNDECIDED" in result.stderr
    assert "too small relative to the tolerance" in " ".join(result.stdout.split())


# Those of PyTorch and JAX take long to import, and to compile.
@pytest.mark.parametrize("hidden", [("torch", "jax"), pytest.param((), marks=pytest.mark.slow)], ids=["own", "all"])
def test_all_means_every_registered_kernel_that_can_run(hidden, monkeypatch):
    for package in hidden:
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    found = rows("gradcheck", "--kernel", "all", *SMALL, code=1)
    kernels = map(registered_kernel, kernel_names())
    able = [each.name for each in kernels if each.available() is None and "float64" in each.dtypes]
    assert list(dict.fromkeys(row["kernel"] for row in found)) == able


# verify and selftest.


def test_verify_runs_every_layout_dtype_and_input_unless_told():
    found = rows("verify", "--kernel", "numpy")
    assert {row["verdict"] for row in found} == {"PASS"}
    assert {row["dtype"] for row in found} == {"float32", "float64"}
    assert len(found) == 2 * 26
    assert {row["problem"].split("eps=")[1] for row in found if row["check"] == "normal"} == {"1e-05"}
    chosen = rows(
        "verify", "--kernel", "numpy", "--layout", "channels-last", "--dtype", "float32", "--random", "sorted"
    )
    assert {(row["layout"], row["dtype"]) for row in chosen} == {("channels-last", "float32")}
    assert "offset-1e4" not in {row["check"] for row in chosen}
    shaped = rows("verify", "--kernel", "numpy", "--shape", "9x4/channels-first/float64", "--random", "huge")
    assert {row["problem"] for row in shaped} == {"9x4/channels-first/float64/eps=1e-05"}


def test_verify_of_an_array_judges_it_under_its_name_and_behaviour_on_benign_data():
    np.save("x.npy", np.random.default_rng(0).random((9, 4, 7)).astype(np.float32))
    found = {row["check"]: row for row in rows("verify", "numpy", "--array", "x.npy", "--layout", "channels-last")}
    assert next(iter(found)) == "array"
    assert set(found) == {"array", *invariants.INVARIANTS, "contract"}
    assert {row["verdict"] for row in found.values()} == {"PASS"}
    assert {row["dtype"] for row in found.values()} == {"float32"}
    assert found["array"]["problem"] == "9x4x7/channels-last/float32/eps=1e-05"
    assert found["array"]["input"] == "--array x.npy --seed 0"
    assert found["shift"]["problem"] == "6x7x5x13/channels-last/float32/eps=1e-05"
    assert found["shift"]["input"] == "--random normal --seed 0"
    wide = rows("verify", "numpy", "--array", "x.npy", "--dtype", "float64", "--epsilon", "0.1")
    assert {row["problem"].partition("/")[2] for row in wide} == {"per-activation/float64/eps=0.1"}


def test_verify_of_images_takes_what_works_on_images(photo):
    words = ("verify", "numpynet", "--image", photo("a.png"), "--copies", "3", "--resize", "8x6")
    wrong = next(row for row in rows(*words, code=1) if row["check"] == "image")
    assert (wrong["verdict"], wrong["array"]) == ("WRONG", "dx")
    assert wrong["problem"] == "3x6x8x3/per-activation/float64/eps=1e-05"
    again = shlex.split(wrong["reproduce"].removeprefix("reproduce: bncli "))
    assert next(row for row in rows(*again, code=1) if row["check"] == "image") == wrong


def test_verify_warns_of_what_any_result_on_the_data_needs_to_be_read_with(photo):
    assert (
        "with one sample per feature, x_hat and dx are always 0"
        in run("verify", "numpy", "--image", photo("a.png")).stderr
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--array", "x.npy", "--random", "normal"], "--array and --random both give x: leave one out"),
        (["--array", "x.npy", "--image", "a.png"], "--array and --image both give x: leave one out"),
        (["--array", "x.npy", "--shape", "5x3"], "--shape cannot be used with --array"),
        (["--array", "nothing.npy"], "'nothing.npy'"),
        (["--array", "x.npy", "--dtype", "float16"], "kernel 'numpy' does not take float16"),
        (["--array", "x.npy", "--curve"], "--curve draws its own data: leave out --array"),
        (["--copies", "3"], "--copies works on images: give it with --image"),
    ],
)
def test_verify_refuses_data_that_it_cannot_use(arguments, message):
    np.save("x.npy", np.ones((4, 3)))
    assert message in fails("verify", *arguments)


@pytest.mark.parametrize("shape", [(), ("--shape", "8x4")])
def test_verify_of_a_dtype_that_a_kernel_does_not_take_is_refused(shape):
    line = fails("verify", "--kernel", "reference", "--kernel", "numpy", "--dtype", "float16", *shape)
    assert line.endswith("kernel 'numpy' does not take float16: use --dtype float32 or float64")


def test_what_verify_calls_wrong_can_be_shown_again_by_the_line_that_it_prints():
    first = rows("verify", "--kernel", "numpynet", "--random", "outlier", "--dtype", "float64", code=1)
    wrong = next(row for row in first if row["verdict"] == "WRONG")
    words = shlex.split(wrong["reproduce"].removeprefix("reproduce: bncli "))
    again = next(row for row in rows(*words, code=1) if row["check"] == wrong["check"])
    for key in ("problem", "array", "index", "actual", "expected", "share", "reproduce"):
        assert again[key] == wrong[key]


def test_what_gradcheck_calls_wrong_can_be_shown_again_by_the_line_that_it_prints():
    first = rows("gradcheck", "--kernel", "numpynet", "--shape", "6x5/channels-last", "--seed", "3", code=1)
    wrong = next(row for row in first if row["verdict"] == "WRONG")
    words = shlex.split(wrong["reproduce"].removeprefix("reproduce: bncli "))
    assert next(row for row in rows(*words, code=1) if row["verdict"] == "WRONG") == wrong
    np.savez("x.npz", x=np.random.default_rng(0).random((6, 5)), gamma=np.arange(1.0, 6))
    first = rows("gradcheck", "--kernel", "numpynet", "--array", "x.npz", "--epsilon", "0.1", "--threads", "1", code=1)
    wrong = next(row for row in first if row["verdict"] == "WRONG")
    assert "--threads 1" in wrong["reproduce"]
    assert wrong in rows(*shlex.split(wrong["reproduce"].removeprefix("reproduce: bncli ")), code=1)


def test_the_curve_has_a_row_for_each_ratio():
    found = rows("verify", "--curve", "--kernel", "numpy", "--kernel", "numba", "--dtype", "float32")
    assert len(found) == 2 * 9
    assert max(row["y"] for row in found if row["ratio"] <= 1e6) < 1e-6
    assert {row["problem"] for row in found} == {"64x64/per-activation/float32/eps=1e-05"}


@pytest.mark.parametrize("columns", [80, 160])
def test_the_tables_of_the_checks_fit_the_terminal(columns):
    for command in (("verify", "--kernel", "numpynet", "--random", "normal"), ("selftest", "--fault", "swapped")):
        result = invoke(*command, columns=columns)
        lines = [line for line in result.stdout.splitlines() if not line.startswith("reproduce: ")]
        assert max(map(len, lines)) <= columns
