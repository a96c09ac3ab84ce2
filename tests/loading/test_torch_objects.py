"""Objects of torch as kernels: Functions, Modules, and functions that autograd differentiates."""

import sys

import pytest

from bncli.errors import KernelFault
from bncli.loading.guard import guarded
from command_line import run
from user_files import LAYOUTS, SMALL, assert_right, called, fails, loaded, write

torch = pytest.importorskip("torch", reason="these kernels are PyTorch's")
pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")

FUNCTION = """
import torch
class MyBN(torch.autograd.Function):
    @staticmethod
    def forward({first}):
        axes = tuple(axis for axis in range(x.ndim) if axis != 1)
        inv_std = (x.var(axes, unbiased=False, keepdim=True) + eps).rsqrt()
        x_hat = (x - x.mean(axes, keepdim=True)) * inv_std
        ctx.save_for_backward(x_hat, inv_std, gamma)
        wide = (-1, *[1] * (x.ndim - 2))
        return gamma.reshape(wide) * x_hat + beta.reshape(wide)
    @staticmethod
    def backward(ctx, dy):
        x_hat, inv_std, gamma = ctx.saved_tensors
        axes = tuple(axis for axis in range(dy.ndim) if axis != 1)
        dx_hat = dy - dy.mean(axes, keepdim=True) - x_hat * (dy * x_hat).mean(axes, keepdim=True)
        scale = gamma.reshape(-1, *[1] * (dy.ndim - 2)) * inv_std
        return {gradients}, {nones}
"""
GRADIENTS = "scale * dx_hat, (dy * x_hat).sum(axes), dy.sum(axes)"
MODULE = """
import torch
from torch import nn
class MyBN(nn.Module):
    def __init__(self, {constructor}):
        super().__init__()
        self.{weight} = nn.Parameter(torch.ones({shape}))
        self.{bias} = nn.Parameter(torch.zeros({shape}))
        self.eps = eps
    def forward(self, x):
        {before}
        mean = x.mean({axes}, keepdim=True)
        inv_std = (x.var({axes}, keepdim=True, unbiased=False) + self.eps).rsqrt()
        return (x - mean) * inv_std * self.{weight} + self.{bias}
"""
PLAIN = {
    "constructor": "num_features, eps=1e-5", "weight": "weight", "bias": "bias", "shape": "1, num_features, 1, 1",
    "before": "pass", "axes": "(0, 2, 3)",
}  # fmt: skip
BATCH_NORM = "from torch.nn.functional import batch_norm\n"
BN = """
def bn(x, gamma, beta, epsilon):
    return batch_norm(x, None, None, gamma, beta, True, 0.0, epsilon)
"""


def function(first="ctx, x, gamma, beta, eps", gradients=GRADIENTS, nones="None"):
    return FUNCTION.format(first=first, gradients=gradients, nones=nones)


def module(**changed):
    return MODULE.format(**{**PLAIN, **changed})


RIGHT = {
    "a Function": function(),
    "a Function of another order": function(
        "ctx, eps, beta, x, gamma", "None, dy.sum(axes), scale * dx_hat", "(dy * x_hat).sum(axes)"
    ),
    "a Function as batch_norm is called": function(
        "ctx, x, gamma, beta, running_mean, running_var, training, momentum, eps", nones="None, None, None, None, None"
    ),
    "a Function with a default": function("ctx, x, gamma, beta, groups=1, eps=1e-5", nones="None, None"),
    "a Module": module(),
    "a Module of rows": module(shape="num_features", axes="0"),
    "a Module of three axes": module(shape="num_features, 1", axes="(0, 2)"),
    "a Module of five axes": module(shape="1, num_features, 1, 1, 1", axes="(0, 2, 3, 4)"),
    "a Module of other names": module(
        constructor="channels, eps=1e-5", shape="1, channels, 1, 1", weight="gamma", bias="beta"
    ),
    "a Module whose constructor takes no epsilon": module(constructor="num_features").replace("= eps", "= 1e-5"),
    "an instance": BATCH_NORM + "import torch\nmine = torch.nn.BatchNorm2d(7)\n",
    "a function that makes a Module": "from torch import nn\n"
    "def make(num_features, eps): return nn.BatchNorm2d(num_features, eps)\n",
    "a function": BATCH_NORM + BN,
    "a function of batch_norm's arguments": BATCH_NORM
    + "def bn(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):\n"
    + "    return batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)\n",
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_object_is_taken_as_it_is(make_case, text, layout):
    assert_right(guarded(loaded(text)), make_case(f"{layout}/float64/eps=0.001"))


@pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d"])
def test_modules_of_torch_are_kernels_by_their_name(name):
    result = run("verify", f"torch.nn:{name}", "--search", "0", "--random", "normal", "--layout", "channels-first")
    assert f"{name} is a torch.nn.Module: forward, backward, infer" in result.stderr


def test_memory_is_channels_last_where_the_layout_is(make_case):
    kernel = loaded(
        BATCH_NORM
        + "import torch\nndim, seen = 4, []\n"
        + BN.replace(
            "    return",
            "    seen.append((x.shape[1], x.is_contiguous(memory_format=torch.channels_last)))\n    return",
        )
    )
    called(kernel, make_case("2x4x6x3/channels-last/float64"))
    module = next(each for each in sys.modules.values() if getattr(each, "__file__", None) == kernel.file)
    assert module.seen[-1] == (3, True)


FAULTS = {
    "x is centred in place": (module(before="x.sub_(x.mean((0, 2, 3), keepdim=True))"), "forward writes into its x"),
    "the x_hat term is missing": (
        function(gradients=GRADIENTS.replace("dx_hat", "(dy - dy.mean(axes, keepdim=True))")), "the x_hat term",
    ),
    "the variance is unbiased": (
        module().replace("unbiased=False", "unbiased=True"), "the variance is the unbiased one",
    ),
    "no gradient": (
        BATCH_NORM + "def bn(x, gamma, beta, epsilon):\n"
        "    return batch_norm(x.detach(), None, None, gamma, beta, True, 0.0, epsilon)\n", "there is no dx",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "says"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_and_named(text, says):
    write("mine.py", text)
    result = run("gradcheck", "mine.py", "--shape", "6x5x4/channels-first", "--search", "0", code=1)
    assert says in " ".join(result.stdout.split())


LINES = {
    "import torch\nclass MyBN(torch.nn.Module): pass\nmine = 3\ndef bn(x, gamma, beta, eps): return x\n": (
        "mine.py",
        "it holds MyBN (a torch.nn.Module) and bn (a function): choose one, as mine.py:MyBN",
    ),
    "import torch\ndef bn(x, gamma): return x\n": (
        "mine.py:bn",
        "it takes x and gamma, not x, gamma, beta and epsilon",
    ),
    "import torch\nclass A: pass\n": ("mine.py:B", "no object in it is called 'B': "),
    "import torch\nclass MyBN(torch.nn.Module):\n    def __init__(self, num_features): raise OSError('no file')\n": (
        "mine.py:MyBN",
        "it raised OSError: no file (mine.py, line 3)",
    ),
    "import torch\nclass MyBN(torch.nn.Module):\n    def __init__(self, num_features, eps=1e-5):\n"
    "        super().__init__()\n        self.alpha = torch.nn.Parameter(torch.ones(num_features))\n": (
        "mine.py",
        "its parameter alpha is neither gamma nor beta, or weight nor bias: rename it",
    ),
    "import torch\nclass MyBN(torch.autograd.Function):\n    @staticmethod\n"
    "    def forward(ctx, x, gamma, beta, groups): pass\n": (
        "mine.py",
        "it takes groups, which is not one of x, gamma,",
    ),
}


@pytest.mark.parametrize(("text", "spec", "says"), [(text, *rest) for text, rest in LINES.items()])
def test_what_is_no_kernel_is_one_line(text, spec, says):
    write("mine.py", text)
    assert says in fails("gradcheck", spec, *SMALL)


def test_a_result_of_another_kind_is_a_fault(make_case):
    kernel = loaded(BATCH_NORM + "def bn(x, gamma, beta, epsilon):\n"
                    "    y = batch_norm(x, None, None, gamma, beta, True, 0.0, epsilon)\n"
                    "    return y if x.shape[1] == 3 else y.detach().numpy()\n")  # fmt: skip
    with pytest.raises(KernelFault, match="y is of type ndarray, not a torch tensor"):
        called(guarded(kernel), make_case("5x4x3/per-activation/float64"))


def test_memory_that_torch_cannot_hold_is_not_tried():
    write("mine.py", RIGHT["a function"])
    result = run("gradcheck", "mine.py", "--case", "9x12x5/channels-first/float32/eps=1e-05 memory=x[::-1]")
    assert "NOT TRIED: PyTorch does not support such strides" in " ".join(result.stdout.split())


def test_a_namespace_may_take_tensors(make_case):
    text = (
        'arrays = "torch"\n'
        + """
def forward(x, gamma, beta, epsilon):
    std = (x.var((0, 2), keepdim=True, unbiased=False) + epsilon) ** 0.5
    x_hat = (x - x.mean((0, 2), keepdim=True)) / std
    return gamma[:, None] * x_hat + beta[:, None], (x_hat, gamma[:, None] / std)
def backward(dy, saved):
    x_hat, scale = saved
    dx_hat = dy - dy.mean((0, 2), keepdim=True) - x_hat * (dy * x_hat).mean((0, 2), keepdim=True)
    return scale * dx_hat, (dy * x_hat).sum((0, 2)), dy.sum((0, 2))
"""
    )
    assert_right(guarded(loaded(text)), make_case("6x5x4/channels-first/float64/eps=0.001"))


def test_a_file_of_two_lines_says_the_types_of_an_imported_class():
    write("mine.py", "from torch.nn import BatchNorm2d\n")
    refused = run("gradcheck", "mine.py", "--dtype", "float16", code=2)
    assert 'or write dtypes = "float16" into its file' in refused.stderr
    write("half.py", 'from torch.nn import BatchNorm2d\ndtypes = "float16"\nparams = "float32"\n')
    result = run("gradcheck", "half.py", "--shape", "4x3x5x2/nchw", "--search", "0")
    assert "params=float32" in result.stdout
    kind = "half is a torch.nn.Module: forward, backward, infer, infer_backward, running statistics"
    assert kind in " ".join(result.stderr.split())
