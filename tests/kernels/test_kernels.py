"""Every registered kernel against scalar loops and extended precision, and the kernels' contract."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
from bncli.core.case import complete
from bncli.core.kernel import Gradients
from bncli.core.layout import Layout
from bncli.core.problem import Problem
from bncli.errors import InputError
from bncli.kernels import numpy as numpy_kernel
from bncli.loading.registry import kernel_names, load_kernel, registered_kernel

KNOWN_WRONG = {"numpynet"}
PEERS = {"inductor", "jax", "onednn", "torch"}  # which have other dtypes and tolerances: crosscheck_peers.py
KERNELS = [name for name in kernel_names() if name not in PEERS and registered_kernel(name).available() is None]
RIGHT = [name for name in KERNELS if name not in KNOWN_WRONG]
SHAPES = {
    "per-activation": "6x5x4x3",
    "channels-last": "6x5x4x3",
    "channels-first": "6x3x5x4",
}
# Other layouts, dtypes and larger shapes have other engines of numba's, which take long to compile.
RIGHT_KERNELS = [pytest.param(name, marks=pytest.mark.slow) if name == "numba" else name for name in RIGHT]
TOLERANCE = {"float64": 5e-13, "float32": 5e-6}


def in_each_layout(names):
    """Names, layouts and dtypes."""

    def is_slow(name, layout, dtype):
        return name == "numba" and (layout, dtype) != ("per-activation", "float32")

    each = itertools.product(names, SHAPES, ("float32", "float64"))
    return [pytest.param(*one, marks=pytest.mark.slow if is_slow(*one) else []) for one in each]


def relative(actual, expected):
    return float(np.max(np.abs(actual - expected)) / max(np.max(np.abs(expected)), np.finfo(float).tiny))


def run(kernel, case):
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    return {"y": y, **Gradients(*kernel.backward(case.dy, saved))._asdict()}, saved


@pytest.mark.parametrize(("name", "layout", "dtype"), in_each_layout(RIGHT))
def test_kernel_equals_scalar_loops(make_case, name, layout, dtype):
    for epsilon in (1e-8, 0.5):  # an epsilon as large as the variance hides a wrong one, and a tiny one does too
        case = make_case(f"{SHAPES[layout]}/{layout}/{dtype}/eps={epsilon}")
        actual, saved = run(load_kernel(name), case)
        expected = naive.expected_of(case)
        for array, value in actual.items():
            assert relative(value, expected[array]) < TOLERANCE[dtype], array
        assert relative(saved.mean, expected["mean"]) < TOLERANCE[dtype]
        assert relative(saved.var, expected["var"]) < TOLERANCE[dtype]
        assert relative(saved.inv_std, expected["inv_std"]) < TOLERANCE[dtype]


@pytest.mark.parametrize("name", RIGHT_KERNELS)
@given(
    shape=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    layout=st.sampled_from(list(Layout)),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**32),
    scale=st.floats(-3, 3),
)
def test_kernel_equals_scalar_loops_on_any_shape(name, shape, layout, dtype, seed, scale):
    problem = Problem(tuple(shape), layout, dtype, 1e-3)
    rng = np.random.default_rng(seed)
    case = complete(problem, {"x": (10**scale * rng.normal(size=shape)).astype(dtype)}, seed)
    actual, _ = run(load_kernel(name), case)
    expected = naive.expected_of(case)
    # dx is what is left when its terms cancel, so its error is relative to the terms.
    terms = np.abs(case.gamma) / np.sqrt(expected["var"] + problem.epsilon) * np.abs(case.dy).max()
    for array in ("y", "dgamma", "dbeta"):
        assert np.abs(actual[array] - expected[array]).max() < TOLERANCE[dtype] * (1 + np.abs(expected[array]).max())
    assert (np.abs(actual["dx"] - expected["dx"]) <= 4 * TOLERANCE[dtype] * terms[:, None]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("descriptor", ["16x40x30x3", "40x16x16x8/channels-last", "16x8x20x20/channels-first"])
@pytest.mark.parametrize("name", RIGHT_KERNELS)
def test_kernel_agrees_with_extended_precision(make_case, name, descriptor, dtype):
    case = make_case(f"{descriptor}/{dtype}")
    x, dy, gamma, beta = (a.astype(np.longdouble) for a in (case.x, case.dy, case.gamma, case.beta))
    mean = x.mean((0, 2))[:, None]
    inv_std = 1 / np.sqrt(((x - mean) ** 2).mean((0, 2)) + np.longdouble(case.problem.epsilon))[:, None]
    x_hat = (x - mean) * inv_std
    dgamma, dbeta = (dy * x_hat).sum((0, 2)), dy.sum((0, 2))
    count = case.problem.samples
    dx = gamma[:, None] * inv_std * (dy - dbeta[:, None] / count - x_hat * dgamma[:, None] / count)
    expected = {"y": gamma[:, None] * x_hat + beta[:, None], "dx": dx, "dgamma": dgamma, "dbeta": dbeta}
    actual, _ = run(load_kernel(name), case)
    for array, value in actual.items():
        assert relative(value, expected[array]) < TOLERANCE[dtype], array


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "descriptor", ["37x11x3", "301x5/channels-last", "9x5x7x3/channels-first", "3x2x101/channels-first"]
)
def test_numpy_is_right_wherever_it_cuts(make_case, monkeypatch, descriptor, dtype):
    case = make_case(f"{descriptor}/{dtype}/eps=1e-05")
    expected = naive.expected_of(case)
    monkeypatch.setattr(numpy_kernel, "_blocks", numpy_kernel._blocks.__wrapped__)  # it remembers
    for tile, run_length in ((64, 8), (16, 1), (1, 1)):
        monkeypatch.setattr(numpy_kernel, "TILE", tile)
        monkeypatch.setattr(numpy_kernel, "RUN", run_length)
        assert sum(len(rows) for _, rows in numpy_kernel._blocks(case.x.shape)) > 3
        actual, saved = run(load_kernel("numpy"), case)
        y = numpy_kernel.infer(case.x, case.gamma, case.beta, saved.mean, saved.var, case.problem.epsilon)
        for array, value in {**actual, "inferred": y}.items():
            assert relative(value, expected.get(array, expected["y"])) < TOLERANCE[dtype], (array, tile)


def test_numpy_works_in_several_threads_at_once(make_case):
    cases = [make_case("64x4000/float32/eps=1e-05", seed=seed) for seed in range(2)]
    alone = [run(load_kernel("numpy"), case)[0] for case in cases]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda case: run(load_kernel("numpy"), case)[0], cases * 20))
    for found, expected in zip(together, alone * 20, strict=True):
        assert all(np.array_equal(found[array], expected[array]) for array in expected)


@pytest.mark.parametrize("ratio", [1e4, 1e6])
@pytest.mark.parametrize("name", RIGHT)
def test_a_mean_far_above_the_deviation_costs_no_digits(make_case, name, ratio):
    # E[x**2] - E[x]**2 in float32 would have nothing left, nor would a mean rounded to float32.
    case = make_case("64x50/per-activation/float32/eps=1e-05", mean=ratio)
    actual, _ = run(load_kernel(name), case)
    expected = naive.expected_of(case)
    for array, value in actual.items():
        assert relative(value, expected[array]) < 2e-6, array


@pytest.mark.parametrize("name", sorted(KNOWN_WRONG))
def test_the_specimen_is_wrong_in_dx_alone(make_case, name):
    case = make_case("5x4x4x3")
    actual, _ = run(load_kernel(name), case)
    expected = naive.expected_of(case)
    assert relative(actual.pop("dx"), expected["dx"]) > 0.1
    for array, value in actual.items():
        assert relative(value, expected[array]) < TOLERANCE["float64"], array
    assert "KNOWN WRONG" in load_kernel(name).summary


def test_the_specimen_is_the_published_listing(make_case):
    case = make_case("5x4x4x3")
    x, delta = case.problem.own(case.x), case.problem.own(case.dy).copy()
    scales, bias = case.problem.own(case.gamma), case.problem.own(case.beta)
    # As published, but for names: `var` there is 1 / sqrt(variance + epsilon).
    mean = x.mean(axis=0)
    var = 1.0 / np.sqrt(x.var(axis=0) + case.problem.epsilon)
    x_norm = (x - mean) * var
    output = x_norm * scales + bias
    inv_n = 1.0 / np.prod(mean.shape)
    delta *= scales
    mean_delta = (delta * (-var)).mean(axis=0)
    var_delta = (delta * (x - mean)).sum(axis=0) * (-0.5 * var * var * var)
    delta = delta * var + var_delta * 2 * (x - mean) * inv_n + mean_delta * inv_n
    actual, _ = run(load_kernel("numpynet"), case)
    assert relative(actual["y"], case.problem.canonical(output)) < 1e-14
    assert relative(actual["dx"], case.problem.canonical(delta)) < 1e-14


@pytest.mark.parametrize(("name", "layout", "dtype"), in_each_layout(KERNELS))
def test_results_are_whole_new_arrays_of_the_dtype(make_case, name, layout, dtype):
    case = make_case(f"{SHAPES[layout]}/{layout}/{dtype}")
    kernel = load_kernel(name)
    first, saved = run(kernel, case)
    other = make_case(f"{SHAPES[layout]}/{layout}/{dtype}", seed=1)
    kernel.forward(other.x, other.gamma, other.beta, other.problem.epsilon)
    again = Gradients(*kernel.backward(case.dy, saved))  # a second forward came in between
    for array in Gradients._fields:
        np.testing.assert_array_equal(getattr(again, array), first[array])
        assert not np.shares_memory(getattr(again, array), first[array])
    shapes = {"y": case.x.shape, "dx": case.x.shape, "dgamma": case.gamma.shape, "dbeta": case.gamma.shape}
    assert {array: value.shape for array, value in first.items()} == shapes
    assert {value.dtype for value in first.values()} == {np.dtype(dtype)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*RIGHT_KERNELS, *KNOWN_WRONG])
def test_out_is_written_in_full_and_returned(make_case, name, dtype):
    case = make_case(f"6x3x5x4/channels-first/{dtype}")
    kernel = load_kernel(name)
    expected, _ = run(kernel, case)
    y = np.full_like(case.x, np.nan)
    gradients = Gradients(*(np.full_like(a, np.nan) for a in (case.x, case.gamma, case.gamma)))
    returned, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon, out=y)
    assert returned is y
    results = kernel.backward(case.dy, saved, out=gradients)
    assert all(a is b for a, b in zip(results, gradients, strict=True))
    for array, value in {"y": y, **gradients._asdict()}.items():
        np.testing.assert_array_equal(value, expected[array])


@pytest.mark.parametrize("name", RIGHT_KERNELS)
def test_dx_may_be_written_over_dy(make_case, name):
    case = make_case("6x3x5x4/channels-first")
    kernel = load_kernel(name)
    expected, saved = run(kernel, case)
    dy = case.dy.copy()
    kernel.backward(dy, saved, out=Gradients(dy, np.empty_like(case.gamma), np.empty_like(case.gamma)))
    np.testing.assert_array_equal(dy, expected["dx"])


@pytest.mark.parametrize(
    ("name", "layout", "dtype"), in_each_layout(name for name in KERNELS if registered_kernel(name).infer)
)
def test_inference_equals_scalar_loops(make_case, name, layout, dtype):
    case = make_case(f"{SHAPES[layout]}/{layout}/{dtype}/eps=0.001")
    rng = np.random.default_rng(5)
    mean, var = rng.normal(size=case.gamma.shape), rng.uniform(0.1, 2, case.gamma.shape)
    expected = naive.infer(case.problem.own(case.x), case.gamma, case.beta, mean, var, 0.001, layout)
    y = np.full_like(case.x, np.nan)
    returned = load_kernel(name).infer(case.x, case.gamma, case.beta, mean, var, 0.001, out=y)
    assert returned is y
    assert relative(y, case.problem.canonical(expected)) < TOLERANCE[dtype]
    fresh = load_kernel(name).infer(case.x, case.gamma, case.beta, mean, var, 0.001)
    assert fresh.dtype == case.x.dtype
    np.testing.assert_array_equal(fresh, y)


@pytest.mark.parametrize(
    ("name", "layout", "dtype"), in_each_layout(name for name in KERNELS if registered_kernel(name).infer_backward)
)
def test_the_backward_of_inference_equals_scalar_loops(make_case, name, layout, dtype):
    case, kernel = make_case(f"{SHAPES[layout]}/{layout}/{dtype}/eps=0.001"), load_kernel(name)
    rng = np.random.default_rng(5)
    mean, var = rng.normal(size=case.gamma.shape), rng.uniform(0.1, 2, case.gamma.shape)
    given = case.x, case.gamma, case.beta, mean, var, 0.001
    expected = naive.infer_backward(
        case.problem.own(case.x), case.gamma, case.problem.own(case.dy), mean, var, 0.001, layout
    )
    y, saved = kernel.infer_forward(*given)
    np.testing.assert_array_equal(y, kernel.infer(*given))
    out = Gradients(*(np.full_like(a, np.nan) for a in (case.x, case.gamma, case.gamma)))
    assert all(a is b for a, b in zip(kernel.infer_backward(case.dy, saved, out=out), out, strict=True))
    for array, value in Gradients(*kernel.infer_backward(case.dy, saved))._asdict().items():
        ought = case.problem.canonical(expected[array]) if expected[array].ndim > 1 else expected[array]
        assert relative(value, ought) < TOLERANCE[dtype]
        assert value.dtype == case.x.dtype
        np.testing.assert_array_equal(value, getattr(out, array))


def test_the_reference_hands_over_its_extra_digits(make_case):
    case = make_case("6x5")
    y = np.empty(case.x.shape, np.longdouble)
    load_kernel("reference").forward(case.x, case.gamma, case.beta, case.problem.epsilon, out=y)
    if np.finfo(np.longdouble).eps < np.finfo(np.float64).eps:
        assert (y != y.astype(np.float64)).any()


def test_unknown_kernel_names_the_nearest():
    with pytest.raises(InputError, match=r"no kernel is called 'nunpy': did you mean 'numpy'\?"):
        load_kernel("nunpy")
