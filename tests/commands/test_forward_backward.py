"""forward and backward: what they show, and what they save."""

import csv
import io
import json

import numpy as np
import pytest

import naive
from command_line import SMALL, fails, rows, run

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


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
    assert "--copies 5" in result.stderr


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


@pytest.mark.parametrize("value", [1e308, 5e-324, 1 + 2**-52])
def test_values_too_far_or_too_near_for_bins_have_a_histogram(value, tmp_path):
    for name, array in {"one": [[value]], "two": [[value], [-value if value > 1.5 else 1.0]]}.items():
        np.save(tmp_path / f"{name}.npy", np.array(array))
        result = run("forward", "--array", str(tmp_path / f"{name}.npy"), "--kernel", "numpy", "--format", "json")
        counts = json.loads(result.stdout)["rows"][0]["histogram"]
        assert sum(counts) == len(array)


def test_values_none_of_which_is_finite_have_no_histogram(tmp_path):
    np.save(tmp_path / "x.npy", np.full((3, 4), np.nan))
    found = rows("forward", "--array", tmp_path / "x.npy", "--kernel", "numpy")
    assert [row["histogram"] for row in found] == [[], [], []]
