"""The backward of inference of a user's file: its functions, a Module in eval mode, functions with a training flag."""

import os

import numpy as np
import pytest

import naive
from bncli.core.kernel import Gradients, passes_of
from bncli.errors import InputError, KernelFault
from bncli.isolation.process import Process
from bncli.loading.guard import guarded
from bncli.verification import accuracy
from bncli.verification.finding import Verdict
from command_line import run
from user_files import KERNEL, LAYOUTS, SMALL, fails, loaded, write

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")

INFER = """
def infer(data, scale, shift, mean, var, eps):
    inv_std = 1 / (var + eps) ** 0.5
    y = scale[:, None] * (data - mean[:, None]) * inv_std[:, None] + shift[:, None]
    return y, (data - mean[:, None], scale, inv_std)
"""
INFER_BACKWARD = """
def infer_backward(delta, kept):
    centred, scale, inv_std = kept
    return (scale * inv_std)[:, None] * delta, (delta * centred).sum((0, 2)) * inv_std, delta.sum((0, 2))
"""
ROWS = """
import numpy
ndim = 2
def infer(x, g, b, m, v, e, out=None): return numpy.add(g * (x - m) / (v + e) ** .5, b, out=out), (x - m, g, v + e)
def infer_backward(dy, saved, out=None):
    x, g, v = saved
    dx = numpy.multiply(dy, g / v ** .5, out=out and out[0])
    gradients = (dy * x).sum(0) / v ** .5, dy.sum(0)
    if out is None:
        return dx, *gradients
    out[1][...], out[2][...] = gradients
    return out
"""
MODULE = "import torch\nmine = torch.nn.BatchNorm2d(7)\n"
TORCH = """
from torch.nn.functional import batch_norm
def bn(x, running_mean, running_var, weight, bias, training, momentum, eps):
    return batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
"""
JAX = """
import jax.numpy as jnp
def bn(x, gamma, beta, mean, var, epsilon, training):
    if training:
        mean, var = x.mean((0, 2)), x.var((0, 2))
    return (x - mean[:, None]) / jnp.sqrt(var + epsilon)[:, None] * gamma[:, None] + beta[:, None], mean, var
"""
RIGHT = {
    "functions": KERNEL + INFER + INFER_BACKWARD,
    "functions of rows, with out": ROWS,
    "functions of tensors": 'arrays = "torch"\n' + KERNEL.replace("keepdims", "unbiased=False, keepdim").replace(
        "mean((0, 2), unbiased=False, ", "mean((0, 2), ") + INFER + INFER_BACKWARD,
    "a Module": MODULE,
    "a function of tensors": TORCH,
    "a function of JAX arrays": JAX,
}  # fmt: skip


def assert_right(kernel, case):
    rng = np.random.default_rng(3)
    features, own = case.gamma.size, case.problem.own
    mean, var = rng.normal(size=features), rng.uniform(1, 2, features)
    given = case.x, case.gamma, case.beta, mean, var, 0.1
    out = Gradients(*(np.full_like(array, np.nan) for array in (case.x, case.gamma, case.gamma)))
    layout = str(case.problem.layout)
    y, saved = kernel.infer_forward(*given)
    found = {"y": y, **Gradients(*kernel.infer_backward(case.dy, saved))._asdict()}
    kernel.infer_backward(case.dy, kernel.infer_forward(*given)[1], out=out)
    expected = naive.infer_backward(own(case.x), case.gamma, own(case.dy), mean, var, 0.1, layout)
    expected["y"] = naive.infer(own(case.x), case.gamma, case.beta, mean, var, 0.1, layout)
    np.testing.assert_array_equal(kernel.infer(*given), y)
    for name, array in found.items():
        ought = case.problem.canonical(expected[name]) if expected[name].ndim > 1 else expected[name]
        np.testing.assert_allclose(array, ought, rtol=1e-9, atol=1e-11, err_msg=name)
        np.testing.assert_array_equal(array, y if name == "y" else getattr(out, name))


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gradients_of_inference_are_taken(make_case, text, layout):
    for framework in ("torch", "jax"):
        if framework in text:
            pytest.importorskip(framework)
    kernel = guarded(loaded(text))
    assert passes_of(kernel)[-2:] == ("infer", "infer_backward")
    assert_right(kernel, make_case(f"{layout}/float64/eps=0.1"))


def test_infer_alone_returns_y_alone():
    kernel = loaded(KERNEL + "def infer(x, g, b, m, v, e): return x\n")
    assert passes_of(kernel) == ("forward", "backward", "infer")
    assert (kernel.infer_forward, kernel.infer_backward) == (None, None)


MALFORMED = {
    "def infer_backward(dy, saved): return dy\n": (
        "it has infer_backward and no infer: write infer(x, gamma, beta, mean, var, epsilon), which returns y and saved"
    ),
    "infer_backward = 3\n" + INFER: "its infer_backward is of type int, not a function",
    INFER + "def infer_backward(dy): return dy\n": "its infer_backward cannot be called as infer_backward(dy, saved)",
}


@pytest.mark.parametrize(("text", "why"), MALFORMED.items(), ids=MALFORMED.values())
def test_a_malformed_file_is_one_line(text, why):
    with pytest.raises(InputError) as caught:
        loaded(KERNEL + text)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


FAULTS = {
    "infer returned one value, not two: return y and saved": (
        INFER.replace("return y, (data - mean[:, None], scale, inv_std)", "return y") + INFER_BACKWARD
    ),
    "y has shape (5, 3, 4), expected (6, 3, 4)": INFER.replace("return y, ", "return y[1:], ") + INFER_BACKWARD,
    "infer raised ZeroDivisionError: division by zero": INFER.replace("    inv", "    1 / 0\n    inv") + INFER_BACKWARD,
    "infer_backward returned two values, not three: return dx, dgamma and dbeta": (
        INFER + "def infer_backward(dy, saved): return dy, dy.sum((0, 2))\n"
    ),
    "infer_backward raised IndexError": INFER + "def infer_backward(dy, saved): return saved[7]\n",
    "dgamma has shape (1,), expected (3,)": (
        INFER + "def infer_backward(dy, saved): return dy, dy.sum((0, 2))[:1], dy.sum((0, 2))\n"
    ),
}


@pytest.mark.parametrize(("why", "text"), FAULTS.items(), ids=FAULTS)
def test_what_the_functions_do_wrong_is_one_line(make_case, why, text):
    case, kernel = make_case("6x3x4/channels-first"), guarded(loaded(KERNEL + text))

    def call():
        _, saved = kernel.infer_forward(case.x, case.gamma, case.beta, case.gamma, case.gamma**2, 0.1)
        kernel.infer_backward(case.dy, saved)

    with pytest.raises(KernelFault) as caught:
        call()
    assert str(caught.value).startswith(f"kernel 'mine': {why}")
    assert "\n" not in str(caught.value)


FROZEN_MODULE = """
import torch
class Frozen(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, mean, inv_std):
        ctx.save_for_backward(x - mean, weight, inv_std)
        return (x - mean) * inv_std * weight + bias
    @staticmethod
    def backward(ctx, dy):
        centred, weight, inv_std = ctx.saved_tensors
        axes = (0, 2, 3)
        return {dx}, {dgamma}, dy.sum(axes, keepdim=True), None, None
class MyBN(torch.nn.BatchNorm2d):
    def forward(self, x):
        if self.training:
            return super().forward(x)
        weight, bias, mean, var = (each.reshape(1, -1, 1, 1) for each in (
            self.weight, self.bias, self.running_mean, self.running_var))
        {y}
"""
RIGHT_MODULE = {
    "dx": "weight * inv_std * dy", "dgamma": "(dy * centred * inv_std).sum(axes, keepdim=True)",
    "y": "return Frozen.apply(x, weight, bias, mean, (var + self.eps).rsqrt())",
}  # fmt: skip


def frozen_module(**changed):
    return FROZEN_MODULE.format(**{**RIGHT_MODULE, **changed})


PLANTED = {
    "a right file": (RIGHT["functions"], ""),
    "a file that subtracts mean(dy)": (
        KERNEL + INFER + INFER_BACKWARD.replace("* delta,", "* (delta - delta.mean((0, 2), keepdims=True)),"),
        "mean(dy) is subtracted, as in training",
    ),
    "a file that lacks inv_std": (
        KERNEL + INFER + INFER_BACKWARD.replace("scale * inv_std)", "scale)"), "inv_std is forgotten",
    ),
    "a file without dgamma": (
        KERNEL + INFER + INFER_BACKWARD.replace("* inv_std, delta", "* 0, delta"),
        "dgamma of inference is 0 everywhere",
    ),
    "a file whose backward of inference raises": (
        KERNEL + INFER + "def infer_backward(dy, saved): 1 / 0\n", "infer_backward raised ZeroDivisionError",
    ),
    "a right Module": (frozen_module(), ""),
    "a Module with the x_hat of the batch": (
        frozen_module(dgamma="(dy * (centred - centred.mean(axes, keepdim=True)) * inv_std).sum(axes, keepdim=True)"),
        "the batch's own mean is used, not the one that is given",
    ),
    "a Module that subtracts mean(dy)": (
        frozen_module(dx="weight * inv_std * (dy - dy.mean(axes, keepdim=True))"),
        "mean(dy) is subtracted, as in training",
    ),
    "a Module without a gradient of gamma": (
        frozen_module(y="return (x - mean) * (var + self.eps).rsqrt() * weight.detach() + bias"),
        "there is no dgamma of inference",
    ),
    "a Module within no_grad": (
        frozen_module(y="with torch.no_grad(): return (x - mean) * (var + self.eps).rsqrt() * weight + bias"),
        "y of inference has no gradient",
    ),
    "a right function of tensors": (TORCH, ""),
    "a function that ignores its training": (
        TORCH.replace("training, momentum, eps)\n", "True, momentum, eps)\n"),
        "the batch's own mean and variance are used, not those that are given",
    ),
    "a right function of JAX arrays": (JAX, ""),
    "a function without a gradient of gamma": (
        JAX.replace("import jax.numpy as jnp", "import jax, jax.numpy as jnp").replace(
            "    return", "    if not training: gamma = jax.lax.stop_gradient(gamma)\n    return"
        ),
        "dgamma of inference is 0 everywhere",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "says"), PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_named_and_a_right_object_passes(text, says):
    for framework in ("torch", "jax"):
        if framework in text:
            pytest.importorskip(framework)
    write("mine.py", text)
    spec = "mine.py:MyBN" if "class MyBN" in text else "mine.py"
    result = run("gradcheck", spec, "--shape", "6x5x4/channels-first", "--search", "0", code=int(bool(says)))
    said = " ".join(result.stdout.split())
    assert says in said
    if not says:
        assert "dgamma of inference PASS reference" in said
    assert " dx PASS reference" in said


@pytest.mark.slow
def test_a_search_finds_a_fault_of_the_backward_of_inference():
    wrong = "    if delta.shape[2] % 8 == 0: return delta, delta.sum((0, 2)), delta.sum((0, 2))\n    return (scale"
    write("mine.py", KERNEL + INFER + INFER_BACKWARD.replace("    return (scale", wrong))
    result = run("gradcheck", "mine.py", "--case", "6x7x8/channels-first/float64/eps=1e-05", code=1)
    assert "dx of inference" in result.stdout
    run("gradcheck", "mine.py", "--case", "6x7x9/channels-first/float64/eps=1e-05")


def test_a_kernel_in_its_own_process_has_a_backward_of_inference(make_case):
    write("mine.py", RIGHT["functions"])
    process = Process(os.path.abspath("mine.py"))
    try:
        kernel = process.load()
        assert passes_of(kernel) == ("forward", "backward", "infer", "infer_backward")
        found = kernel.run(accuracy.check, make_case("6x3x4/channels-first"), each_call=True)
    finally:
        process.close()
    assert {each.array for each in found} > set(accuracy.GRADIENTS_OF_INFERENCE)
    assert {each.verdict for each in found} == {Verdict.PASS}


def test_a_kernel_of_inference_alone_is_verified_with_its_backward():
    options = ("--search", "0", "--random", "normal", "--dtype", "float64")
    write("twice.py", INFER + INFER_BACKWARD.replace("* delta,", "* delta * 2,"))
    assert "dx of inference is 2 times what it should be" in " ".join(
        run("verify", "twice.py", *options, code=1).stdout.split()
    )
    write("mine.py", INFER + INFER_BACKWARD)
    run("verify", "mine.py", *options)
    assert fails("gradcheck", "mine.py", *SMALL).endswith("checks its infer and infer_backward")
    assert fails("bench", "mine.py", *SMALL).endswith("give --pass infer")  # its backward is not timed
