"""An error of many users is followed by how to fix it."""

import sys

import pytest

from command_line import fails, run
from user_files import write

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")

IMAGES = """
def forward(x, gamma, beta, epsilon):
    std = (x.var((0, 2, 3), keepdims=True) + epsilon) ** 0.5
    x_hat = (x - x.mean((0, 2, 3), keepdims=True)) / std
    return gamma[:, None, None] * x_hat + beta[:, None, None], (x_hat, gamma[:, None, None] / std)
def backward(dy, saved):
    x_hat, scale = saved
    dx_hat = dy - dy.mean((0, 2, 3), keepdims=True) - x_hat * (dy * x_hat).mean((0, 2, 3), keepdims=True)
    return scale * dx_hat, (dy * x_hat).sum((0, 2, 3)), dy.sum((0, 2, 3))
"""


def test_the_error_says_how_and_then_it_passes():
    write("mine.py", IMAGES)
    said = run("gradcheck", "mine.py", "--shape", "2x3x4x5/nchw", "--search", "0", code=1).stdout
    assert 'write axes = "own" into the file' in " ".join(said.split())
    write("images.py", "ndim = 4\n" + IMAGES)
    for layout, seconds in (("nchw", "0.3"), ("nhwc", "0"), ("per-activation", "0")):
        run("gradcheck", "images.py", "--shape", f"4x3x4x5/{layout}", "--search", seconds)


@pytest.mark.parametrize(
    ("module", "extra"), [("torch", "peers"), ("jax", "peers"), ("triton", "triton"), ("ml_dtypes", "bfloat16")]
)
def test_a_missing_framework_names_the_extra_that_installs_it(module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    write("mine.py", f"import {module}\n")
    assert fails("gradcheck", "mine.py").endswith(f"; pip install 'bncli[{extra}]'")
