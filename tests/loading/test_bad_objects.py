"""Objects that are no kernel, and objects that return something else: one line each, with exit 2, or a WRONG row."""

import pytest

from command_line import fails, run
from user_files import SMALL, write

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")

MODULE = "import torch\nclass MyBN(torch.nn.BatchNorm1d):\n"
BATCH_NORM = "torch.nn.functional.batch_norm(x, None, None, gamma, beta, True, 0.0, eps)"
FUNCTION = "import torch\nimport numpy as np\ndef bn(x, gamma, beta, eps):\n    return "


def why(text, spec="mine.py"):
    write("mine.py", text)
    _, _, reason = fails("gradcheck", spec, *SMALL).partition(f"cannot load {spec!r} as a kernel: ")
    return reason


PASSES = "".join(f"    {each} = staticmethod(lambda *given: 0)\n" for each in ("forward", "backward"))
STATIC = f"class MyBN:\n{PASSES}class Other:\n{PASSES}class Neither: pass\n"


def test_a_module_that_does_not_exist_is_named():
    said = fails("gradcheck", "no.such:BatchNorm")
    assert said == "bncli: error: cannot load 'no.such:BatchNorm' as a kernel: there is no module 'no.such'"


@pytest.mark.parametrize(
    ("text", "spec", "reason"),
    [
        ("def bn(x): pass\n", "mine.py:bm", "no object in it is called 'bm': there are: bn"),
        ("def bn(x, gamma): pass\n", "mine.py", "bn takes x and gamma, not x, gamma, beta and epsilon"),
        ("def bn(x, gamma): pass\n", "mine.py:bn", "it takes x and gamma, not x, gamma, beta and epsilon"),
        ("def bn(): pass\n", "mine.py", "bn takes nothing, not x, gamma, beta and epsilon"),
        ("def f(x): pass\ndef g(x): pass\n", "mine.py", "it has no forward and no backward: a kernel needs "),
        (
            STATIC,
            "mine.py",
            "it has no forward of its own, and MyBN and Other have one: name it, as mine.py:MyBN",
        ),
    ],
)
def test_an_object_that_is_no_kernel(text, spec, reason):
    assert why(text, spec).startswith(reason)


def test_a_layer_class_whose_constructor_takes_nothing():
    layer = "class Layer:\n    def forward(self, inpt): pass\n    def backward(self, delta): pass\n"
    assert why(layer) == "its constructor takes neither num_features, nor scales and bias, nor gamma and beta"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            MODULE + "    def __init__(self, num_features, eps):\n        raise ValueError('no such layer')\n",
            "it raised ValueError: no such layer (mine.py, line 4)",
        ),
        (
            MODULE + "    def forward(self, x):\n        raise KeyError('oops')\n",
            "(N, C, D, H, W) or NHWC: with (N, C, H, W) it raised KeyError: 'oops' (mine.py, line 4)",
        ),
        (
            MODULE + "    def forward(self, x):\n        return None\n",
            "(N, C, D, H, W) or NHWC: with (N, C, H, W) y is of type NoneType, not a torch tensor",
        ),
        (
            FUNCTION + f"np.asarray({BATCH_NORM}.detach())\n",
            "with (outer, feature, inner) y is of type ndarray, not a torch tensor",
        ),
        (FUNCTION + f"{BATCH_NORM}.to('meta')\n", "on meta: return it on the device of x, the cpu"),
    ],
)
def test_an_object_of_torch_that_fails_on_every_x(text, reason):
    pytest.importorskip("torch", reason="these kernels are PyTorch's")
    assert reason in why('arrays = "torch"\n' * text.startswith(FUNCTION) + text)


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ("y.detach().numpy()", "kernel 'mine': y is of type ndarray, not a torch tensor"),
        (
            "y.to('meta')",
            "kernel 'mine': forward raised RuntimeError: a result is on meta: return it on the device of x",
        ),
        ("1 / 0", "kernel 'mine': forward raised ZeroDivisionError: division by zero (mine.py, line 6)"),
    ],
)
def test_an_object_of_torch_that_fails_on_some_x_is_wrong(returned, reason):
    pytest.importorskip("torch", reason="these kernels are PyTorch's")
    lines = (
        f"    def forward(self, x):\n        y = super().forward(x)\n        return {returned} if len(x) > 6 else y\n"
    )
    write("mine.py", MODULE + "    # 3\n" + lines)
    said = run("gradcheck", "mine.py", "--shape", "8x5x4", "--layout", "nchw", "--search", "0", code=1, columns=300)
    assert reason in said.stdout


def test_a_tensor_from_a_function_of_jax():
    pytest.importorskip("jax", reason="the function is JAX's")
    pytest.importorskip("torch", reason="the result is PyTorch's")
    text = "import torch\nimport jax.numpy as jnp\ndef bn(x, gamma, beta, eps):\n    return torch.zeros(x.shape)\n"
    assert "y is of type Tensor, not a JAX array" in why('arrays = "jax"\n' + text)
