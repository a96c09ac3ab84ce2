"""The command line as a stranger uses it."""

import csv
import dataclasses
import io
import json
import os
import shlex
import subprocess
import sys
import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import bncli
import naive
from bncli import plugins
from bncli.cli import main
from bncli.loading.registry import kernel_names, registered_kernel
from bncli.verification import invariants

COMMANDS = plugins.names("bncli.commands")
SMALL = ("--shape", "5x4x4x3")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*args, code=0, columns=100):
    result = CliRunner().invoke(main, [str(arg) for arg in args], env={"COLUMNS": str(columns)})
    assert result.exit_code == code, (result.output, result.exception)
    return result


def rows(*args, code=0):
    return json.loads(run(*args, "--format", "json", code=code).stdout)["rows"]


def fails(*args, code=2):
    """The one line on stderr of a command that fails; nothing is printed and nothing written."""
    before = sorted(os.listdir())
    result = run(*args, code=code)
    assert result.stdout == ""
    assert sorted(os.listdir()) == before
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("bncli: error: ")
    return lines[0]


@pytest.fixture
def photo(tmp_path):
    def make(name, size=(40, 30), seed=0, mode="RGB"):
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(tmp_path / name)
        return name

    return make


# Help, version, and how a user is led.


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command, flag):
    text = run(command, flag).stdout
    assert f"Example: bncli {command}" in text


def test_help_lists_every_command():
    text = run("--help").stdout
    assert all(f"\n  {command} " in text for command in COMMANDS)


def test_version_comes_from_one_place():
    assert run("--version").stdout.split()[-1] == bncli.__version__


@pytest.mark.parametrize("command", ["forward", "backward", "gradcheck", "bench"])
def test_with_no_options_each_command_works_on_the_seeds_problem(command):
    extra = ("--max-time", "0") if command == "bench" else ()
    result = run(command, *extra, columns=80)
    assert result.stdout.startswith("5x100x100x3/per-activation/float64/eps=1e-08  --random uniform --seed 0")
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert "numba" in result.stdout


@pytest.mark.parametrize("command", ["forward", "gradcheck"])
def test_the_default_preset_is_what_runs_without_one(command):
    arguments = (command, "--kernel", "numpy")
    assert rows(*arguments, "--preset", "seed") == rows(*arguments)


# Kernels by themselves.


@pytest.mark.parametrize("command", ["forward", "backward", "gradcheck", "verify", "bench"])
def test_kernels_typed_by_themselves_come_before_those_of_the_option_and_each_once(command):
    extra = {"bench": ("--max-time", "0"), "verify": ("--random", "huge")}.get(command, ())
    with open("mine.py", "w", encoding="utf-8") as file:
        file.write("from bncli.kernels import numpy as own\nforward, backward = own.forward, own.backward\n")
    found = rows(command, "reference", "-k", "numpy", *SMALL, "mine.py", "--kernel", "reference", *extra)
    kernels = [row["kernel"] for row in found if row.get("direction") != "limit" and row["kernel"] != "input"]
    assert list(dict.fromkeys(kernels)) == ["reference", "mine", "numpy"]


@pytest.mark.parametrize("command", ["forward", "backward", "gradcheck", "verify", "bench"])
def test_help_says_that_a_kernel_needs_no_option(command):
    text = " ".join(run(command, "--help").stdout.split())
    assert f" {command} [OPTIONS] [KERNEL]... " in text
    assert "-k, --kernel NAME|FILE.py|MODULE" in text
    assert "KERNEL without -k is the same, and comes before those with it." in text


# forward and backward.


def test_forward_shows_the_batch_before_and_after():
    found = rows("forward", *SMALL, "--seed", "3")
    assert [(row["kernel"], row["array"]) for row in found] == [
        ("input", "x"), ("numpy", "x_hat"), ("numpy", "y"), ("numba", "x_hat"), ("numba", "y"),
    ]  # fmt: skip
    x, x_hat = found[0], found[1]
    assert x["shape"] == "5x4x4x3"
    assert 0 <= x["min"] < x["mean"] < x["max"] < 1
    assert x_hat["largest_feature_mean"] < 1e-14
    assert x_hat["largest_feature_std_error"] < 1e-4
    assert x["largest_feature_mean"] is None
    assert found[2]["difference"] is None
    assert found[4]["difference"] < 1e-14


@pytest.mark.parametrize("kernels", [("numpy",), pytest.param((), marks=pytest.mark.slow)])
def test_what_is_saved_is_what_scalar_loops_compute(kernels):
    data = ("--shape", "6x3x4x5", "--layout", "channels-first", "--epsilon", "0.1")
    run("backward", *kernels, *data, "--save", "out.npz")
    with np.load("out.npz") as saved:
        arrays = dict(saved)
    names = ("x", "gamma", "beta", "dy")
    expected = naive.batchnorm(*(arrays[name] for name in names), 0.1, "channels-first")
    assert set(arrays) == {*names, *expected, "inv_std", "x_hat"}
    for name, value in expected.items():
        np.testing.assert_allclose(arrays[name], value, rtol=1e-11, atol=1e-13, err_msg=name)
    np.testing.assert_allclose(arrays["inv_std"], 1 / np.sqrt(expected["var"] + 0.1))
    shape = (1, 3, 1, 1)
    y = arrays["gamma"].reshape(shape) * arrays["x_hat"] + arrays["beta"].reshape(shape)
    np.testing.assert_allclose(y, arrays["y"], atol=1e-13)


def test_a_saved_file_is_an_array_and_serves_inference():
    run("forward", *SMALL, "--save", "out.npz")
    found = rows("forward", "--mode", "infer", "--array", "out.npz", "--save", "again.npz")
    assert [row["mode"] for row in found] == ["infer"] * 5
    with np.load("out.npz") as first, np.load("again.npz") as second:
        # The batch's own statistics make inference the same function as training.
        np.testing.assert_allclose(first["y"], second["y"], rtol=1e-12)
        np.testing.assert_array_equal(first["x"], second["x"])


def test_inference_on_random_numbers_uses_their_true_statistics():
    found = rows("forward", "--mode", "infer", "--random", "normal", "--shape", "1000x4", "--kernel", "numpy")
    x, x_hat = found[0], found[1]
    assert x_hat["mean"] == pytest.approx(x["mean"])
    assert x_hat["std"] == pytest.approx(x["std"])


def test_inference_without_statistics_says_what_to_give(photo):
    assert "inference needs mean and var: give --array FILE.npz" in fails(
        "forward", "--mode", "infer", "--image", photo("a.png")
    )
    assert "has no inference: use --mode train" in fails("forward", "--mode", "infer", "--kernel", "numpynet")


def test_backward_shows_every_gradient_and_one_update():
    found = rows("backward", *SMALL, "--kernel", "numpy", "--update", "--lr", "0.5", "--decay", "0.1")
    arrays = {row["array"]: row for row in found}
    assert list(arrays) == [
        "x", "dy", "gamma", "beta", "x_hat", "y", "dx", "dgamma", "dbeta", "gamma_new", "beta_new",
    ]  # fmt: skip
    for name in ("gamma", "beta"):
        expected = arrays[name]["mean"] - 0.5 * (arrays[f"d{name}"]["mean"] + 0.1 * arrays[name]["mean"])
        assert arrays[f"{name}_new"]["mean"] == pytest.approx(expected)


def test_images_become_a_batch(photo):
    found = rows("forward", "--image", photo("a.png"), "--image", photo("b.jpg", (50, 20), 1), "--resize", "8x6")
    assert found[0]["shape"] == "2x6x8x3"
    assert found[0]["input"] == "--image a.png --image b.jpg --resize 8x6 --seed 0"
    gray = ("--image", photo("c.png", mode="L"), "--copies", "5", "--layout", "channels-first")
    found = rows("backward", "numpy", *gray)
    assert found[0]["problem"].startswith("5x1x30x40/channels-first/float64")


def test_one_image_has_nothing_to_normalise(photo):
    result = run("forward", "--image", photo("a.png"), "--kernel", "numpy")
    assert "warning: " in result.stderr
    assert "--copies N" in result.stderr


def test_an_array_keeps_its_dtype_unless_told_otherwise():
    np.save("x.npy", np.random.default_rng(0).random((6, 17)).astype(np.float32))
    assert {row["dtype"] for row in rows("forward", "--array", "x.npy")} == {"float32"}
    assert {row["dtype"] for row in rows("forward", "--array", "x.npy", "--dtype", "float64")} == {"float64"}


def test_values_that_are_not_finite_are_computed_and_said():
    x = np.random.default_rng(0).random((6, 20))
    x[2, 1] = np.nan
    np.save("x.npy", x)
    result = run("backward", "--array", "x.npy", "--format", "csv")
    assert "1 of 120 values of x are NaN or infinite" in result.stderr
    y = next(row for row in csv.DictReader(io.StringIO(result.stdout)) if row["array"] == "y")
    assert y["max"] == "nan"


# gradcheck.


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
    assert "one sample per feature has nothing to normalise" in run("verify", "numpy", "--image", photo("a.png")).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--array", "x.npy", "--random", "normal"], "--array and --random both say what x is"),
        (["--array", "x.npy", "--image", "a.png"], "--array and --image both say what x is"),
        (["--array", "x.npy", "--shape", "5x3"], "--shape cannot be used with --array"),
        (["--array", "nothing.npy"], "'nothing.npy'"),
        (["--array", "x.npy", "--dtype", "float16"], "kernel 'numpy' does not take float16"),
        (["--array", "x.npy", "--curve"], "--curve draws data of its own: leave out --array"),
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
        result = CliRunner().invoke(main, list(command), env={"COLUMNS": str(columns)})
        lines = [line for line in result.stdout.splitlines() if not line.startswith("reproduce: ")]
        assert max(map(len, lines)) <= columns


# bench.


def test_bench_times_what_it_has_verified_and_nothing_else():
    found = rows("bench", *SMALL, "--kernel", "numpy", "--kernel", "numpynet", "--max-time", "0")
    found, limits = found[:-2], found[-2:]
    assert [(row["kernel"], row["direction"]) for row in limits] == [("copy", "limit"), ("add", "limit")]
    assert [(row["kernel"], row["direction"]) for row in found] == [
        (kernel, direction) for kernel in ("numpy", "numpynet") for direction in ("forward", "backward")
    ]
    for row in found[:2]:
        assert row["verdict"] == "PASS"
        assert row["digits"] > 14
        assert len(row["samples"]) == row["rounds"] >= 5
        assert row["minimum"] <= row["median"]
        assert row["speedup"] == 1
    for row, limit in zip(found[:2], limits, strict=True):
        ratios = [sample / least for sample, least in zip(row["samples"], limit["samples"], strict=True)]
        assert row["of_limit"] == pytest.approx(np.median(ratios))
        assert row["bytes"] == limit["bytes"]
    for row in found[:2] + limits:
        assert row["bandwidth"] == pytest.approx(row["bytes"] / row["median"])
    assert [row["bytes"] for row in found[:2]] == [2 * 240 * 8, 3 * 240 * 8]
    for row in found[2:]:
        assert "median" not in row
        assert "samples" not in row
    assert "dx is WRONG" in found[3]["note"]


def test_bench_shows_no_bar_where_there_is_no_terminal():
    told = run("bench", *SMALL, "--kernel", "numpy", "--max-time", "0").stderr.splitlines()
    assert all(line.startswith("warning: ") for line in told)  # of what else runs on the machine


def test_a_list_of_problems_runs_them_all():
    for command in ("forward", "backward", "gradcheck", "bench"):
        extra = ("--max-time", "0") if command == "bench" else ()
        found = rows(command, "--preset", "quick", "--kernel", "numpy", *extra)
        assert len({row["problem"] for row in found}) == 3


# What there is.


def test_kernels_says_what_each_is_and_whether_it_can_run():
    found = {row["kernel"]: row for row in rows("kernels")}
    assert set(found) == set(plugins.names("bncli.kernels"))
    assert found["numpy"]["available"] == "yes"
    assert all(row["summary"] for row in found.values())


def test_info_names_the_machine():
    found = {row["item"]: row["value"] for row in rows("info")}
    assert found["bncli"] == bncli.__version__
    assert found["numpy"] == np.__version__
    assert found["numba threading layer"] in ("omp", "tbb", "workqueue")


def test_presets_are_those_in_configs():
    found = {row["preset"]: row for row in rows("presets")}
    assert set(found) == {
        "bert", "densenet121", "googlenet", "images", "inception-v3", "large-images", "mobilenet-v2", "quick",
        "resnet50", "resnet50-nhwc", "roofline", "seed", "tiny",
    }  # fmt: skip
    assert found["resnet50"]["problems"] == 9
    assert all(row["summary"] for row in found.values())


# Formats and files.


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "report"])
def test_every_command_speaks_every_format_and_exports(command, tmp_path_factory):
    small = () if command in ("kernels", "info", "presets") else (*SMALL, "--kernel", "numpy")
    if command == "compare":
        old = tmp_path_factory.mktemp("saved") / "old.json"
        run("bench", *small, "--max-time", "0", "--export", old)
        small = (old, old)
    if command == "selftest":
        small = ("--fault", "swapped", "--no-torch")
    extra = ("--max-time", "0") if command == "bench" else ()
    exports = [word for name in ("a.json", "b.csv", "c.md") for word in ("--export", name)]
    for name in ("table", *plugins.names("bncli.output.formats")):
        assert run(command, *small, *extra, *exports, "--format", name).stdout
    with open("a.json", encoding="utf-8") as file:
        document = json.load(file)
    assert document["command"] == command
    assert document["environment"]["numpy"] == np.__version__
    with open("b.csv", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == 1 + len(document["rows"])
    assert sorted(os.listdir()) == ["a.json", "b.csv", "c.md"]


def test_data_goes_to_stdout_and_is_whole_in_a_pipe():
    result = run("forward", *SMALL, "--format", "json")
    assert result.stderr == ""
    json.loads(result.stdout)


# Presets.


def test_what_is_typed_wins_over_the_preset():
    with open("mine.toml", "w", encoding="utf-8") as file:
        file.write('shape = "6x7"\ndtype = "float32"\nkernel = "numpy"\n[bench]\nmax-time = 0\n')
    assert rows("bench", "--preset", "mine.toml")[0]["problem"] == "6x7/per-activation/float32/eps=1e-08"
    found = rows("forward", "--preset", "mine.toml", "--dtype", "float64", "--shape", "8x2")
    assert found[0]["problem"] == "8x2/per-activation/float64/eps=1e-08"
    assert {row["kernel"] for row in found} == {"input", "numpy"}


@pytest.mark.parametrize("words", [("reference",), ("-k", "reference"), ("--kernel", "reference")])
@pytest.mark.parametrize("preset", ["numpy", "mine.py"])
def test_a_kernel_that_is_typed_either_way_replaces_those_of_the_preset(words, preset):
    with open("mine.toml", "w", encoding="utf-8") as file:
        file.write(f'shape = "6x7"\nkernel = "{preset}"\n')
    assert {row["kernel"] for row in rows("gradcheck", "--preset", "mine.toml", *words)} == {"reference"}


def test_what_a_preset_says_of_images_is_not_said_of_random_numbers():
    found = rows("forward", "numpy", "--preset", "images")
    assert {row["input"] for row in found} == {"--random uniform --seed 0"}


def test_a_typed_image_wins_over_the_presets_shape(photo):
    found = rows("forward", "--preset", "images", "--image", photo("a.png"), "--kernel", "numpy")
    assert found[0]["shape"] == "5x96x96x3"
    assert found[0]["input"] == "--image a.png --resize 96x96 --copies 5 --seed 0"


def test_a_typed_shape_wins_over_the_presets_image(photo):
    with open("mine.toml", "w", encoding="utf-8") as file:
        file.write(f'image = ["{photo("a.png")}"]\ncopies = 3\nkernel = "numpy"\n')
    assert rows("forward", "--preset", "mine.toml")[0]["problem"].startswith("3x30x40x3")
    assert rows("forward", "--preset", "mine.toml", "--shape", "4x5")[0]["problem"].startswith("4x5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('shap = "5x3"', "no option is called 'shap': did you mean 'shape'?"),
        ("[bench]\nmax-tim = 1", "table [bench]: no option is called 'max-tim': did you mean 'max-time'?"),
        ("[bensh]\nmax-time = 1", "no command is called 'bensh': did you mean 'bench'?"),
        ("preset = 'quick'", "no option is called 'preset'"),
        ('kernel = "mine.py"', "kernel 'mine.py': a preset cannot run a file's code: type it on the command line"),
        ('dtype = "float8"', "Invalid value for '--dtype'"),
        ("shape = [5, 3]", "cannot read the shape '5'"),
        ("seed = [1, 2]", "seed is [1, 2]: give one value"),
        ("shape = [[5, 3]]", "give a value or a list of them"),
        ("bench.max-time.a = 1", "give one value"),
        ("shape = ", "is not TOML"),
        ("\udcff", "is not TOML"),
    ],
)
def test_a_wrong_preset_is_one_line(content, message):
    with open("mine.toml", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(content)
    assert message in fails("bench", "--preset", "mine.toml")


# Wrong input of every kind.


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
        (["--epsilon", "-1"], "Invalid value for '--epsilon': '-1' is too small: give 0 or more"),
        (["--epsilon", "nan"], "Invalid value for '--epsilon': 'nan' is not a finite number"),
        (["--seed", "-1"], "-1 is not in the range"),
        (["--threads", "0"], "0 is not in the range"),
        (["--kernel", "nunpy"], "no kernel is called 'nunpy': did you mean 'numpy'?"),
        (["--random", "cauchy"], "'cauchy' is not one of"),
        (["--resize", "8by8", "--image", "x.png"], "'8by8' is no size in pixels"),
        (["--resize", "8x8"], "--resize works on images: give it with --image"),
        (["--copies", "3"], "--copies works on images: give it with --image"),
        (["--image", "nothing.png"], "cannot read 'nothing.png'"),
        (["--image", "."], "there is no image in the folder '.'"),
        (["--array", "nothing.npy"], "'nothing.npy'"),
        (["--array", "a.npy", "--image", "b.png"], "--array and --image both say what x is"),
        (["--array", "a.npy", "--random", "normal"], "--array and --random both say what x is"),
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
        (MemoryError(), 2, "bncli: error: the memory does not suffice: use a smaller --shape or fewer --kernel"),
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


# A real process.


def process(*command, **settings):
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, timeout=120, **settings
    )


@pytest.mark.slow
def test_a_real_process_ends_in_the_right_code():
    done = process("-W", "error", "-m", "bncli", "gradcheck", "--kernel", "numpynet", *SMALL)
    assert done.returncode == 1
    assert "WRONG" in done.stdout
    assert done.stderr == "bncli: numpynet: dx is WRONG\n"


@pytest.mark.slow
def test_a_closed_pipe_is_no_traceback():
    command = f"'{sys.executable}' -m bncli forward --shape 5x4x4x3 --kernel numpy --format json | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom bncli.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: print(sorted({'numpy','numba','PIL','rich'} & set(sys.modules)))"
    )
    assert process("-c", code).stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_a_run_on_random_numbers_with_numpy_imports_neither_numba_nor_pillow():
    code = (
        "import sys\nfrom bncli.cli import main\n"
        "try: main(['forward', '--kernel', 'numpy', '--shape', '5x3'])\n"
        "except SystemExit: print(sorted({'numba', 'PIL', 'matplotlib', 'jinja2'} & set(sys.modules)))"
    )
    assert process("-c", code).stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_the_public_names_are_importable_and_import_lazily():
    code = (
        "import sys, bncli\nassert 'numpy' not in sys.modules\n"
        "print(bncli.BatchNorm.__name__, bncli.Problem((2, 3)), bncli.load_kernel('numpy').name)"
    )
    assert process("-W", "error", "-c", code).stdout == "BatchNorm 2x3/per-activation/float64/eps=1e-08 numpy\n"
    with pytest.raises(AttributeError):
        _ = bncli.nothing


@pytest.mark.parametrize("value", [1e308, 5e-324, 1 + 2**-52])
def test_values_too_far_apart_or_too_near_for_bins_have_a_histogram(value, tmp_path):
    for name, array in {"one": [[value]], "two": [[value], [-value if value > 1.5 else 1.0]]}.items():
        np.save(tmp_path / f"{name}.npy", np.array(array))
        result = run("forward", "--array", str(tmp_path / f"{name}.npy"), "--kernel", "numpy", "--format", "json")
        counts = json.loads(result.stdout)["rows"][0]["histogram"]
        assert sum(counts) == len(array)


def test_values_none_of_which_is_finite_have_no_histogram(tmp_path):
    np.save(tmp_path / "x.npy", np.full((3, 4), np.nan))
    found = rows("forward", "--array", tmp_path / "x.npy", "--kernel", "numpy")
    assert [row["histogram"] for row in found] == [[], [], []]


@pytest.mark.parametrize("value", ["true", "false"])
def test_a_preset_may_set_a_flag(value, tmp_path):
    (tmp_path / "p.toml").write_text(f"update = {value}\nkernel = 'numpy'\nshape = '4x3'\n")
    arrays = [row["array"] for row in rows("backward", "--preset", tmp_path / "p.toml")]
    assert ("gamma_new" in arrays) is (value == "true")


@pytest.mark.parametrize("value", ["1", '"yes"', "[true]"])
def test_a_flag_of_a_preset_is_true_or_false(value, tmp_path):
    (tmp_path / "p.toml").write_text(f"allow-different-machine = {value}\n")
    message = fails("bench", "--preset", str(tmp_path / "p.toml"))
    assert "allow-different-machine is" in message
