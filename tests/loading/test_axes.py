"""The axes of x that a user's function takes: what its file says, or what is found by trying."""

import numpy as np
import pytest

from bncli.errors import InputError
from bncli.loading import imports
from bncli.loading.views import VIEWS, WORDS
from command_line import run
from user_files import assert_right, loaded, write

AXES = """
import numpy as np
seen = []
def forward(x, gamma, beta, epsilon):
    seen.append((x.shape, x.flags.c_contiguous))
    feature = FEATURE
    others = tuple(axis for axis in range(x.ndim) if axis != feature)
    shape = [1] * x.ndim
    shape[feature] = -1
    scale = gamma.reshape(shape) / np.sqrt(x.var(others, keepdims=True) + epsilon)
    x_hat = (x - x.mean(others, keepdims=True)) * scale / gamma.reshape(shape)
    return gamma.reshape(shape) * x_hat + beta.reshape(shape), (x_hat, scale, others)
def backward(dy, saved):
    x_hat, scale, others = saved
    dx_hat = dy - dy.mean(others, keepdims=True) - x_hat * (dy * x_hat).mean(others, keepdims=True)
    return scale * dx_hat, (dy * x_hat).sum(others), dy.sum(others)
"""
FEATURES = {"NC": "1", "NCHW": "1", "NCDHW": "1", "NHWC": "3", "NDHWC": "4"}
OWN = "1 if x.shape[1] == gamma.size else 3"
PROBLEMS = ("4x7x5x2/channels-first/float64", "4x5x2x7/channels-last/float64", "6x7/per-activation/float64")
JAX = """
import jax.numpy as jnp
def bn(x, gamma, beta, eps):
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return gamma * (x - mean) / jnp.sqrt(var + eps) + beta
"""

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("word", FEATURES)
def test_a_file_names_its_axes(make_case, word, problem):
    kernel = loaded(f"axes = '{word}'\n" + AXES.replace("FEATURE", FEATURES[word], 1))
    assert_right(kernel, make_case(problem))
    assert_right(kernel, make_case(problem), out=True)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_own_axes_are_those_of_the_layout_and_never_a_copy(make_case, problem):
    kernel = loaded("axes = 'own'\n" + AXES.replace("FEATURE", OWN, 1))
    assert_right(kernel, make_case(problem))
    shape, contiguous = imports.import_file("mine.py").seen[-1]
    assert contiguous
    assert len(shape) == 4


@pytest.mark.parametrize("axes", VIEWS)
@pytest.mark.parametrize("shape", [(6, 3, 4), (8, 3, 1), (1, 1, 1), (7, 2, 5), (0, 3, 4)])
def test_a_view_is_undone_and_keeps_order(axes, shape):
    batch = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    entered = VIEWS[axes].enter(batch)
    assert entered.size == batch.size
    np.testing.assert_array_equal(VIEWS[axes].leave(entered, shape), batch)
    assert axes == 2 or not batch.size or np.shares_memory(entered, batch)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("axes = 'CHWN'\n", f"its axes are 'CHWN': use {', '.join(map(repr, WORDS))}"),
        ("axes = 'NHWC'\nndim = 4\n", "its ndim is 4 and its axes are 'NHWC': leave one"),
    ],
)
def test_axes_that_are_unknown_or_contradict(text, reason):
    with pytest.raises(InputError) as error:
        loaded(text + AXES.replace("FEATURE", "1", 1))
    assert reason in str(error.value)


def test_ndim_and_axes_may_say_the_same():
    assert loaded("axes = 'NCHW'\nndim = 4\n" + AXES.replace("FEATURE", "1", 1)).name == "mine"


def test_a_function_that_takes_features_last_is_found_by_trying():
    pytest.importorskip("jax", reason="the kernel is JAX's")
    write("mine.py", JAX)
    for problem in ("4x7x5x2/channels-first/float32", "4x5x2x7/channels-last/float32"):
        run("gradcheck", "mine.py", "--shape", problem, "--search", "0")
