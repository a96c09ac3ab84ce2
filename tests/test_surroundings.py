"""What a command leaves behind in its process: nothing, whatever its kernels did."""

import sys
import warnings

import numba
import numpy as np
import pytest
from click.testing import CliRunner

from bncli.cli import main

SMALL = ("--shape", "6x40")
COMMANDS = {
    "forward": (),
    "backward": ("--update",),
    "gradcheck": (),
    "verify": ("--random", "tiny", "--random", "normal", "--dtype", "float32"),
    "bench": ("--max-time", "0.02"),
}
MEDDLING = """
import os, sys, warnings
import numpy as np
from bncli.kernels import numpy as own

def forward(x, gamma, beta, epsilon):
    np.seterr(all="raise")
    warnings.simplefilter("error")
    print("printed")
    return own.forward(x, gamma, beta, epsilon)

def backward(dy, saved):
    np.seterr(all="call")
    return own.backward(dy, saved)
"""


def subnormals():
    """Whether subnormal results are kept, and subnormal operands, in both types."""
    found = []
    for dtype in (np.float32, np.float64):
        info = np.finfo(dtype)
        found.append(bool((np.array([info.smallest_normal], dtype) / dtype(2))[0] != 0))
        found.append(bool((np.array([info.smallest_subnormal], dtype) * dtype(2**60))[0] != 0))
    return found


def state():
    # Rounding to nearest, ties to even: 1 + eps/2 is 1, and 1 + 3 eps/2 is 1 + 2 eps.
    eps = np.finfo(np.float64).eps
    rounding = [float(value) for value in np.array([1.0, 1 + eps]) + np.array([eps / 2, eps / 2])]
    return {
        "errors": np.geterr(),
        "subnormals": subnormals(),
        "rounding": rounding,
        "threads": numba.get_num_threads(),
        "filters": list(warnings.filters),
        "streams": (sys.stdout, sys.stderr),
    }


@pytest.mark.parametrize("threads", [(), ("--threads", "1")])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_leaves_the_process_as_it_was(command, threads):
    before = state()
    assert before["subnormals"] == [True] * 4
    result = CliRunner().invoke(
        main, [command, *SMALL, "--kernel", "numba", "--kernel", "numpy", *threads, *COMMANDS[command]]
    )
    assert result.exit_code == 0, result.output
    assert state() == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_kernel_that_meddles_leaves_nothing_behind(command, tmp_path):
    kernel = tmp_path / "meddling.py"
    kernel.write_text(MEDDLING)
    before = state()
    result = CliRunner().invoke(
        main, [command, *SMALL, "--kernel", str(kernel), *COMMANDS[command], "--format", "json"]
    )
    assert result.exit_code in (0, 1), result.output
    assert "printed" not in result.stdout
    assert state() == before
