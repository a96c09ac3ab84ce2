"""Verify how exact a kernel is, on hard data of every kind, and how it behaves."""

from typing import Any

import click
import numpy as np

from bncli.commands import _options
from bncli.commands._kernels import Manner, load_kernels, require_memory
from bncli.commands._output import Output, output
from bncli.core import ranges
from bncli.core.kernel import AnyKernel
from bncli.core.layout import Layout
from bncli.core.problem import Problem
from bncli.core.source import distributions
from bncli.loading.registry import require_dtype
from bncli.output.terminal import console
from bncli.verification import suite
from bncli.verification import verify as reports

LIVE_ARRAYS = 24  # of x's size: here all that the reference says of it is held at once, wide
CURVE = ("64x64/per-activation",)


def _problem_and_kernel(command: Any) -> Any:
    problem = _options.problem(
        shape="a small one for each layout", layout=None, dtype="float32 and float64", epsilon=suite.EPSILON
    )
    for option in reversed((*problem, *_options.kernel(("numpy", "numba")), _options.PRESET)):
        command = option(command)
    return command


@click.command(epilog="Example: bncli verify --kernel numba --random offset-1e6 --random outlier")
@click.option(
    "--random",
    multiple=True,
    type=click.Choice(distributions()),
    help="Which data. Repeatable.  [default: all]",
)
@click.option("--curve", is_flag=True, help="Instead: the error at rising |mean|/std, and where a kernel breaks down.")
@_problem_and_kernel
@output
def verify(
    output: Output,
    random: tuple[str, ...],
    curve: bool,
    kernel: tuple[str, ...],
    threads: int | None,
    isolate: bool,
    timeout: float | None,
    seed: int,
    **problem: Any,
) -> None:
    """Verify kernels over layouts, dtypes and inputs against the formulas in a wider type.

    Everything is judged: y, the saved statistics, the gradients, inference. Each row is the worst of
    all layouts: the share of the error budget that it uses, how many digits are right, and where. The
    budget is derived from the dtype, the number of samples and the conditioning |mean|/std. Then come
    the invariants, which need no reference (a shifted, a scaled, a reordered batch; the sums of dx
    and of dx x_hat), and the contract, as in gradcheck.

    Without options: a small shape in each layout, float32 and float64, every kind of data, epsilon
    1e-5. Exits 1 unless every verdict is PASS.
    """
    manner = Manner(threads, isolate, timeout)
    kernels = load_kernels(kernel, manner)
    problems = _problems(kernels, CURVE if curve else (), **problem)
    for each in problems:
        require_memory(each, kernels, LIVE_ARRAYS)
    with np.errstate(all="ignore"), console.progress() as update:
        if curve:
            report = reports.curve_report(problems, kernels, seed)
        else:
            report = reports.report(
                problems,
                random or distributions(),
                kernels,
                seed,
                manner.options,
                lambda done, doing: update(done / len(kernels), doing),
            )
    output.emit(report)


def _problems(
    kernels: list[AnyKernel],
    default_shapes: tuple[str, ...],
    shape: tuple[str, ...],
    layout: str | None,
    dtype: str | None,
    epsilon: float,
) -> list[Problem]:
    """What was asked for; and of what was not, every layout and both dtypes."""
    if dtype:
        for each in kernels:
            require_dtype(each, dtype)
    defaults = reports.default_problems(
        kernels,
        [dtype] if dtype else reports.DTYPES,
        (Layout(layout),) if layout else tuple(Layout),
        epsilon,
    )
    shapes = shape or default_shapes
    parsed = (problem for text in shapes for default in defaults for problem in ranges.problems(text, default))
    return list(dict.fromkeys(parsed)) if shapes else defaults


COMMAND = verify
