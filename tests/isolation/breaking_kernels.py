"""Kernels that break their process, and jobs for it."""

import sys

import numpy as np
from click.testing import CliRunner

from bncli.cli import main
from bncli.loading.registry import load_kernel

SMALL = ("--shape", "5x4")
RIGHT = """
from bncli.kernels import numpy as own

def backward(dy, saved):
    return own.backward(dy, saved)

def forward(x, gamma, beta, epsilon):
    {first}
    return own.forward(x, gamma, beta, epsilon)
"""


def write(name, first):
    text = RIGHT.replace("{first}", first)
    with open(f"{name}.py", "w", encoding="utf-8") as file:
        file.write(text)
    return f"{name}.py"


def invoke(*arguments):
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def call_forward(kernel):
    kernel.forward(np.ones((4, 2, 1)), np.ones(2), np.ones(2), 1e-5)


def threads_used(kernel):
    return sys.modules[load_kernel(kernel.spec).forward.__closure__[0].cell_contents.call.__module__].used[0]
