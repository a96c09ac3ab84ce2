"""The peers, kernels that other projects wrote, against scalar loops; run by name where all of them are installed."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

import naive
from bncli.arrays import torch as tensors
from bncli.benchmarking.buffers import outputs_for
from bncli.benchmarking.passes import passes
from bncli.core.kernel import Gradients
from bncli.loading.registry import load_kernel, registered_kernel

PEERS = ("torch", "onednn", "inductor", "jax")
PAIRS = [(name, dtype) for name in PEERS for dtype in registered_kernel(name).dtypes]
RESULTS = ("y", *Gradients._fields)
STATISTICS = ("mean", "var", "inv_std")
# inner axes and none, few samples, a single one, and a single feature
SHAPES = (
    "6x5x4x3/per-activation",
    "6x5x4x3/channels-last",
    "6x3x5x4/channels-first",
    "2x7",
    "1x4",
    "2x1x3/channels-first",
)
LARGER = ("64x300", "3000x16/channels-last", "16x6x20x21/channels-first")
UNIT = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 2**-24, "float64": 2**-53}


def run(kernel, case):
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    found = {"y": y, **Gradients(*kernel.backward(case.dy, saved))._asdict()}
    return found | {name: getattr(saved, name) for name in STATISTICS}


def sizes(case, expected):
    """How large the terms of each array are, per feature: one rounding of any of them is a unit roundoff of that."""
    count, inv_std = case.problem.samples, expected["inv_std"]
    x, dy, gamma, beta = (np.abs(a.astype(np.float64)) for a in (case.x, case.dy, case.gamma, case.beta))
    rms = np.sqrt(expected["mean"] ** 2 + expected["var"])
    x_hat = (x.max((0, 2)) + np.abs(expected["mean"])) * inv_std
    dy = dy.max((0, 2))
    return {
        "y": gamma * x_hat + beta,
        "dx": gamma * inv_std * dy * (1 + x_hat + x_hat**2),
        "dgamma": count * dy * x_hat,
        "dbeta": count * dy,
        "mean": rms,
        "var": rms**2,
        "inv_std": inv_std * (1 + (rms * inv_std) ** 2),
    }


def require_close(case, found, expected):
    budget = (8 + np.sqrt(case.problem.samples)) * UNIT[case.problem.dtype]  # a running sum, and a few operations
    size = sizes(case, expected)
    for name, value in found.items():
        error = np.abs(value.astype(np.float64) - expected[name])
        allowed = budget * size[name]
        assert (error <= (allowed[:, None] if error.ndim == 3 else allowed)).all(), (name, error.max(), allowed.max())


@pytest.mark.parametrize("epsilon", [1e-5, 0.5])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "dtype"), PAIRS)
def test_a_peer_equals_scalar_loops(make_case, name, dtype, shape, epsilon):
    case = make_case(f"{shape}/{dtype}/eps={epsilon}")
    require_close(case, run(load_kernel(name), case), naive.expected_of(case))


@pytest.mark.parametrize("shape", LARGER)
@pytest.mark.parametrize(("name", "dtype"), PAIRS)
def test_a_peer_equals_the_reference_on_many_samples(make_case, name, dtype, shape):
    case = make_case(f"{shape}/{dtype}/eps=1e-05")
    wide = case.select(np.arange(case.problem.features), "float64")
    require_close(case, run(load_kernel(name), case), run(load_kernel("reference"), wide))


@pytest.mark.parametrize("name", PEERS)
def test_a_mean_far_above_the_deviation_costs_a_peer_no_more_digits_than_it_must(make_case, name):
    # The mean is rounded to float32: four digits of x_hat are gone, and no more than that.
    case = make_case("64x50/float32/eps=1e-05", mean=1e4)
    found, expected = run(load_kernel(name), case), naive.expected_of(case)
    require_close(case, found, expected)
    assert np.abs(found["y"] - expected["y"]).max() < 0.01


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "dtype"), PAIRS)
def test_inference_of_a_peer_equals_scalar_loops(make_case, name, dtype, shape):
    case = make_case(f"{shape}/{dtype}/eps=0.001")
    rng = np.random.default_rng(5)
    mean, var = rng.normal(size=case.gamma.shape), rng.uniform(0.1, 2, case.gamma.shape)
    given = (case.x, case.gamma, case.beta, mean, var, case.problem.epsilon)
    problem, kernel = case.problem, load_kernel(name)
    expected = naive.infer(problem.own(case.x), case.gamma, case.beta, mean, var, problem.epsilon, str(problem.layout))
    fresh = kernel.infer(*given)
    assert fresh.dtype == case.x.dtype
    statistics = {"mean": mean, "var": var, "inv_std": 1 / np.sqrt(var + problem.epsilon)}
    require_close(case, {"y": fresh}, {"y": problem.canonical(expected), **statistics})
    out = np.full_like(case.x, np.nan)
    assert kernel.infer(*given, out=out) is out
    np.testing.assert_array_equal(out, fresh)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "dtype"), [pair for pair in PAIRS if pair[0] in ("jax", "torch")])
def test_the_backward_of_inference_of_a_peer_equals_scalar_loops(make_case, name, dtype, shape):
    case, kernel = make_case(f"{shape}/{dtype}/eps=0.001"), load_kernel(name)
    rng, problem = np.random.default_rng(5), case.problem
    mean, var = rng.normal(size=case.gamma.shape), rng.uniform(0.1, 2, case.gamma.shape)
    _, saved = kernel.infer_forward(case.x, case.gamma, case.beta, mean, var, problem.epsilon)
    out = Gradients(*(np.full_like(each, np.nan) for each in (case.x, case.gamma, case.gamma)))
    assert all(a is b for a, b in zip(kernel.infer_backward(case.dy, saved, out=out), out, strict=True))
    expected = naive.infer_backward(
        problem.own(case.x), case.gamma, problem.own(case.dy), mean, var, problem.epsilon, str(problem.layout)
    )
    statistics = {"mean": mean, "var": var, "inv_std": 1 / np.sqrt(var + problem.epsilon)}
    require_close(case, out._asdict(), {**expected, "dx": problem.canonical(expected["dx"]), **statistics})


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "dtype"), PAIRS)
def test_results_of_a_peer_are_its_own_and_of_the_dtype(make_case, name, dtype, shape):
    case = make_case(f"{shape}/{dtype}")
    found = run(load_kernel(name), case)
    like = {"y": case.x, "dx": case.x, "dgamma": case.gamma, "dbeta": case.gamma}
    assert {array: (found[array].shape, found[array].dtype) for array in RESULTS} == {
        array: (expected.shape, expected.dtype) for array, expected in like.items()
    }
    given = (case.x, case.gamma, case.beta, case.dy)
    for array in RESULTS:
        others = [found[other] for other in RESULTS if other != array]
        assert not any(np.shares_memory(found[array], memory) for memory in (*given, *others)), array


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "dtype"), PAIRS)
def test_a_peer_leaves_what_it_is_given_as_it_was(make_case, name, dtype, shape):
    case = make_case(f"{shape}/{dtype}")  # read-only, but compiled code might not care
    given = (case.x, case.gamma, case.beta, case.dy)
    before = [array.tobytes() for array in given]
    run(load_kernel(name), case)
    assert [array.tobytes() for array in given] == before


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "dtype"), PAIRS)
def test_a_peer_fills_out_and_returns_it(make_case, name, dtype, shape):
    case = make_case(f"{shape}/{dtype}")
    kernel = load_kernel(name)
    expected = run(kernel, case)
    y = np.full_like(case.x, np.nan)
    dx = case.dy.copy()  # which dx may lie over
    gradients = Gradients(dx, np.full_like(case.gamma, np.nan), np.full_like(case.gamma, np.nan))
    returned, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon, out=y)
    results = kernel.backward(dx, saved, out=gradients)
    assert returned is y
    assert all(a is b for a, b in zip(results, gradients, strict=True))
    for array, value in {"y": y, **gradients._asdict()}.items():
        np.testing.assert_array_equal(value, expected[array])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "dtype"), PAIRS)
def test_a_peer_does_not_mix_up_two_forwards(make_case, name, dtype, shape):
    case, other = make_case(f"{shape}/{dtype}"), make_case(f"{shape}/{dtype}", seed=1)
    kernel = load_kernel(name)
    expected = run(kernel, case)
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    run(kernel, other)
    found = {"y": y, **Gradients(*kernel.backward(case.dy, saved))._asdict()}
    for array, value in found.items():
        np.testing.assert_array_equal(value, expected[array])


@pytest.mark.parametrize("shape", LARGER)
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_is_right_with_any_number_of_threads(make_case, name, shape):
    case = make_case(f"{shape}/float32/eps=1e-05")
    wide = case.select(np.arange(case.problem.features), "float64")
    expected = run(load_kernel("reference"), wide)
    kernel = load_kernel(name)
    before = kernel.set_threads(1)
    try:
        for threads in (2, 3):
            require_close(case, run(kernel, case), expected)
            assert kernel.set_threads(threads) == threads - 1
        require_close(case, run(kernel, case), expected)
    finally:
        kernel.set_threads(before)


THREADS = """
import dataclasses
import os
import sys
import numpy as np
from bncli.kernels import jax

def forward():
    jax.forward(np.ones((9, 8, 7)), np.ones(8), np.ones(8), 1e-5)
    names = {task: open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")}
    return {task for task, name in names.items() if "XLAEigen" in name}

before = forward()
jax.set_threads(int(sys.argv[1]))
print(len(forward() - before))
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="the system does not tell the names of threads")
@pytest.mark.parametrize("threads", ["1", "3"])
def test_jax_has_as_many_threads_as_it_is_told_though_it_had_others(threads):
    done = subprocess.run(
        [sys.executable, "-c", THREADS, threads], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == (threads, "")


@pytest.mark.parametrize("dtype", UNIT)
def test_tensors_lie_over_the_memory_of_arrays(make_case, dtype):
    x = make_case(f"4x3/{dtype}").x
    tensor = tensors.take(x)
    assert tensor.data_ptr() == x.ctypes.data
    assert str(tensor.dtype) == f"torch.{dtype}"
    back = tensors.give(tensor)
    assert np.shares_memory(back, x)
    np.testing.assert_array_equal(back, x)


def test_a_peer_leaves_the_settings_of_jax_alone(make_case):
    import jax

    before = jax.config.jax_enable_x64
    run(load_kernel("jax"), make_case("4x3/float64"))
    assert jax.config.jax_enable_x64 == before
    assert jax.numpy.ones(1).dtype == ("float64" if before else "float32")


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_takes_arrays_that_are_not_contiguous(make_case, name):
    case = make_case("6x3x5x4/channels-first/float32")
    kernel = load_kernel(name)
    x, dy = (np.repeat(array, 2, axis=2)[:, :, ::2] for array in (case.x, case.dy))
    _, saved = kernel.forward(x, case.gamma, case.beta, case.problem.epsilon)
    dx, *_ = kernel.backward(dy, saved)
    np.testing.assert_allclose(dx, run(kernel, case)["dx"], rtol=1e-4, atol=1e-6)


STRIDED = {
    "every second": lambda array: np.repeat(array, 2, axis=0)[::2],
    "backwards": lambda array: array[::-1].copy()[::-1],
    "one value for all": lambda array: np.broadcast_to(array.flat[0], array.shape),
}


@pytest.mark.parametrize("strides", STRIDED)
@pytest.mark.parametrize(("name", "dtype"), PAIRS)
def test_a_peer_takes_any_strides(make_case, name, dtype, strides):
    case, kernel = make_case(f"6x3x5/channels-first/{dtype}"), load_kernel(name)
    batch = {} if strides == "one value for all" else {"x": STRIDED[strides](case.x), "dy": STRIDED[strides](case.dy)}
    parameters = {array: STRIDED[strides](getattr(case, array)) for array in ("gamma", "beta")}
    laid = dataclasses.replace(case, **batch, **parameters)
    require_close(laid, run(kernel, laid), naive.expected_of(laid))
    given = (
        laid.x,
        laid.gamma,
        laid.beta,
        *(STRIDED[strides](np.array(values)) for values in ([1.0, 2, 3], [3.0, 2, 1])),
    )
    y, expected = kernel.infer(*given, 1e-3), kernel.infer(*map(np.ascontiguousarray, given), 1e-3)
    np.testing.assert_allclose(y.astype(float), expected.astype(float), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", PEERS)
def test_what_is_timed_of_a_peer_gives_its_results(make_case, name):
    case, kernel = make_case("6x3x5x4/channels-first/float32"), load_kernel(name)
    expected = run(kernel, case)
    y, saved = kernel.prepare("forward", case.x, case.gamma, case.beta, case.problem.epsilon).run()
    gradients = kernel.prepare("backward", case.dy, saved).run()
    for array, value in {"y": y, **gradients._asdict()}.items():
        np.testing.assert_array_equal(value, expected[array])


@pytest.mark.parametrize("name", PEERS)
def test_the_time_with_given_outputs_includes_the_copy_into_them(make_case, name):
    case, kernel = make_case("6x3x5x4/channels-first/float32"), load_kernel(name)
    outputs = outputs_for(case)
    forward, backward, infer = passes(kernel, [case], ("forward", "backward", "infer"), [outputs])
    assert forward.calls[0]()[0] is outputs.y
    assert backward.calls[0]()[0] is outputs.gradients.dx
    assert infer.calls[0]() is outputs.y
