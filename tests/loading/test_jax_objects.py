"""Functions of JAX arrays as kernels, which jax.vjp differentiates."""

import pytest

from bncli.loading.guard import guarded
from bncli.verification.search import searching
from command_line import run
from user_files import LAYOUTS, SMALL, assert_right, called, fails, loaded, write

jax = pytest.importorskip("jax", reason="these kernels are JAX's")
pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")

FUNCTION = """
import jax
import jax.numpy as jnp
def bn(x, gamma, beta, epsilon):
    mean = x.mean((0, 2), keepdims=True)
    inv_std = 1 / jnp.sqrt(x.var((0, 2), keepdims=True) + epsilon)
    return (x - mean) * inv_std * gamma[:, None] + beta[:, None]
"""
CUSTOM = """
import jax
import jax.numpy as jnp
@jax.custom_vjp
def bn(x, gamma, beta, epsilon):
    return _enter(x, gamma, beta, epsilon)[0]
def _enter(x, gamma, beta, epsilon):
    inv_std = 1 / jnp.sqrt(x.var((0, 2), keepdims=True) + epsilon)
    x_hat = (x - x.mean((0, 2), keepdims=True)) * inv_std
    return x_hat * gamma[:, None] + beta[:, None], (x_hat, inv_std, gamma)
def leave(saved, dy):
    x_hat, inv_std, gamma = saved
    dx_hat = dy - dy.mean((0, 2), keepdims=True) - x_hat * (dy * x_hat).mean((0, 2), keepdims=True)
    return gamma[:, None] * inv_std * dx_hat, (dy * x_hat).sum((0, 2)), dy.sum((0, 2)), None
bn.defvjp(_enter, leave)
"""
RIGHT = {
    "a function": FUNCTION,
    "jax.jit": FUNCTION + "bn = jax.jit(bn)\n",
    "custom_vjp": CUSTOM,
    "rows": FUNCTION.replace("(0, 2)", "0").replace("[:, None]", ""),
    "four axes": FUNCTION.replace("(0, 2)", "(0, 2, 3)").replace("[:, None]", "[:, None, None]"),
    "several results": FUNCTION.replace("beta[:, None]", "beta[:, None], mean"),
    "a namespace": 'arrays = "jax"\n' + CUSTOM.replace("@jax.custom_vjp", "").replace("bn.defvjp(_enter, leave)", "")
    + "def forward(x, gamma, beta, epsilon): return _enter(x, gamma, beta, epsilon)\n"
    + "def backward(dy, saved): return leave(saved, dy)[:3]\n",
}  # fmt: skip


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_function_is_taken_as_it_is(make_case, text, layout):
    assert_right(guarded(loaded('arrays = "jax"\n' + text)), make_case(f"{layout}/float64/eps=0.001"))


def test_float32_stays_float32(make_case):
    found = called(guarded(loaded(FUNCTION)), make_case("6x5x4/channels-first/float32/eps=0.001"))
    assert {str(array.dtype) for array in found.values()} == {"float32"}


def test_subnormal_numbers_that_xla_takes_for_0_are_named():
    write("mine.py", FUNCTION)
    result = run("gradcheck", "mine.py", "--case", "9x4x4/channels-first/float32/eps=1e-05 data=subnormal beta=zeros")
    assert "INEXACT: numbers below 1.2e-38 are taken for 0" in " ".join(result.stdout.split())


def test_a_custom_gradient_that_is_wrong_is_named():
    write("mine.py", CUSTOM.replace(" - x_hat * (dy * x_hat).mean((0, 2), keepdims=True)", ""))
    result = run("gradcheck", "mine.py:bn", "--shape", "6x5x4/channels-first", "--search", "0", code=1)
    assert "the x_hat term is missing" in " ".join(result.stdout.split())
    assert "bn is a function of jax arrays: forward, backward" in result.stderr


def test_a_function_of_either_framework_says_so_in_its_file():
    pytest.importorskip("torch")
    either = (
        "def bn(x, gamma, beta, epsilon):\n    return (x - x.mean(0)) / (x.var(0) + epsilon) ** 0.5 * gamma + beta\n"
    )
    write("mine.py", either)
    assert 'it takes arrays of torch and of JAX: write arrays = "torch"' in fails("gradcheck", "mine.py", *SMALL)


LESS = FUNCTION.replace("gamma, beta, epsilon", "gamma=None, beta=None, epsilon=1e-5").replace(
    "inv_std * gamma[:, None] + beta[:, None]",
    "inv_std * (1 if gamma is None else gamma[:, None]) + (0 if beta is None else beta[:, None])",
)


def test_what_is_none_or_not_asked_for_is_tried():
    kernel = loaded('arrays = "jax"\n' + LESS)
    assert kernel.optional == (("gamma",), ("beta",), ("gamma", "beta"))
    assert searching.search(kernel, 60, cases=5).wrong is None
    wrong = loaded('arrays = "jax"\n' + LESS.replace("1 if gamma is None", "2 if gamma is None"), "wrong.py")
    assert "gamma=none" in str(searching.search(wrong, 60, cases=5).wrong.line)


def test_a_function_without_gamma_and_beta_is_judged_for_what_it_has():
    text = FUNCTION.replace(", gamma, beta", "").replace(" * gamma[:, None] + beta[:, None]", "")
    write("mine.py", 'arrays = "jax"\n' + text)
    found = run("gradcheck", "mine.py", *SMALL, "--search", "0")
    assert "mine is a function of jax arrays without gamma and beta: " in found.stderr
    assert "dgamma" not in found.stdout
