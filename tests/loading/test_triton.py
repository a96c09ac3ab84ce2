"""Triton kernels, which Triton's interpreter runs where there is no GPU: each test in a process without Triton."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import bncli as package
from bncli.commands.kernels import TEMPLATES
from user_files import write

pytestmark = [
    pytest.mark.skipif(not find_spec("triton") or not find_spec("torch"), reason="these kernels are Triton's"),
    pytest.mark.usefixtures("_in_an_empty_folder"),
    pytest.mark.slow,
]

TEMPLATE = (TEMPLATES / "triton.txt").read_text(encoding="utf-8")
SMALL = ("--shape", "6x5x4", "--layout", "channels-first", "--search", "0")
REFUSED = (
    "is not timed: Triton's interpreter runs it, and a time would mean nothing; "
    "gradcheck and verify work, and bench needs a GPU and no TRITON_INTERPRET"
)
LAYER = """
import torch
from mine import MyBN
class Layer(torch.nn.Module):
    def __init__(self, features, eps=1e-5):
        super().__init__()
        self.weight, self.bias = torch.nn.Parameter(torch.ones(features)), torch.nn.Parameter(torch.zeros(features))
        self.eps = eps
    def forward(self, x):
        return MyBN.apply(x.flatten(2), self.weight, self.bias, self.eps).reshape(x.shape)
"""

AUTOTUNED = """
import os
os.environ["TRITON_INTERPRET"] = "1"
import triton
from torch.nn.functional import batch_norm
@triton.autotune([triton.Config({})], key=[])
@triton.jit
def launched(pointer):
    pass
def bn(x, gamma, beta, epsilon):
    return batch_norm(x, None, None, gamma, beta, True, 0.0, epsilon)
"""


def python(*words, code=0):
    environment = {**os.environ, "COLUMNS": "400"}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, timeout=300, env=environment
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def bncli(*words, code=0):
    return python("-m", "bncli", *words, code=code)


def changed(right, wrong):
    assert TEMPLATE.count(right) == 1
    return TEMPLATE.replace(right, wrong)


def test_the_template_passes_every_check():
    write("mine.py", TEMPLATE)
    bncli("gradcheck", "mine.py", "--search", "1")
    bncli("verify", "mine.py", *SMALL)
    bncli("gradcheck", "mine.py", "--dtype", "float16", *SMALL)


FAULTS = {
    "the variance counts the tail": (
        "centred = tl.where(mask, tl.load(x + offset, mask, other=0).to(tl.float32) - m[:, None], 0)",
        "centred = tl.load(x + offset, mask, other=0).to(tl.float32) - m[:, None]",
        "8 samples of 0 too many count in the variance, as of padding",
    ),
    "x is centred in place": (
        "        tl.store(y + offset, centred",
        "        tl.store(x + offset, centred, mask)\n        tl.store(y + offset, centred",
        "forward writes into its x",
    ),
    "the mean of dy is not subtracted": ("(g - mean_dy - x_hat", "(g - x_hat", "the mean term is missing"),
}


def test_faults_are_found_and_named():
    names = [f"fault_{number}.py" for number in range(len(FAULTS))]
    for name, (right, wrong, _) in zip(names, FAULTS.values(), strict=True):
        write(name, changed(right, wrong))
    found = bncli("gradcheck", *names, *SMALL, code=1).stdout
    for fault, (_, _, said) in FAULTS.items():
        assert said in found, fault


def test_ignored_strides_of_gamma_are_found():
    write("mine.py", changed("weight.contiguous()", "weight"))
    case = "6x3/per-activation/float32/eps=1e-05 memory=gamma[::2] seed=1749585192"
    assert "y is wrong" in bncli("gradcheck", "mine.py", "--case", case, code=1).stdout


@pytest.mark.parametrize("options", [(), ("--isolate",)])
def test_bench_refuses_it(options):
    write("mine.py", TEMPLATE)
    said = bncli("bench", "mine.py", *options, code=2)
    assert said.stdout == ""
    assert said.stderr.splitlines()[-1] == f"bncli: error: kernel 'mine' {REFUSED}"


def test_bench_refuses_what_calls_it_from_another_file():
    write("mine.py", TEMPLATE)
    write("layer.py", LAYER)
    assert f"kernel 'layer' {REFUSED}\n" in bncli("bench", "layer.py", "--dtype", "float32", code=2).stderr


def test_bench_refuses_a_decorated_function():
    write("mine.py", AUTOTUNED)
    assert REFUSED in bncli("bench", "mine.py", code=2).stderr


def test_another_kernel_is_timed_where_the_interpreter_is_loaded():
    code = (
        "import bncli, torch, triton\n"
        "print(len(bncli.bench(torch.nn.BatchNorm1d(5), '6x5x4/nchw', max_time=0.05).rows))"
    )
    assert int(python("-c", code).stdout) > 1


def test_without_a_gpu_and_the_interpreter_a_hint_says_what_to_set():
    write("mine.py", re.sub("os.environ.*", "pass", TEMPLATE))
    said = bncli("gradcheck", "mine.py", *SMALL, code=2).stderr
    assert "Triton finds no GPU: set TRITON_INTERPRET=1, and the kernel is checked on the CPU" in said


def test_a_triton_that_was_imported_earlier_is_named():
    write("mine.py", "import triton\n" + TEMPLATE)
    said = bncli("gradcheck", "mine.py", *SMALL, code=2).stderr
    assert "Triton was imported before TRITON_INTERPRET was set: set it for the whole command" in said


def test_the_page_says_what_happens():
    page = (Path(package.__file__).parent / "loading" / "README.md").read_text(encoding="utf-8")
    template, *commands = re.findall(r"^\$ bncli (.*)$", page, re.MULTILINE)
    assert template == "kernels --template triton > mine.py"
    assert [command.split() for command in commands] == [[name, "mine.py"] for name in ("gradcheck", "verify", "bench")]
    plain = " ".join(page.split())
    assert f"bncli: error: kernel 'mine' {REFUSED}" in plain
    write("mine.py", changed(*FAULTS["the variance counts the tail"][:2]))
    shown = re.search(r"y is wrong: .*padding", plain).group()
    assert shown in bncli("gradcheck", "mine.py", *SMALL, code=1).stdout
