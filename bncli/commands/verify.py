"""Verify how exact a kernel is on hard data of every kind, and its contract."""

from collections.abc import Mapping
from typing import Any

import click
import numpy as np

from bncli.commands import _options, _search
from bncli.commands._kernels import Execution, load_kernels, require_memory
from bncli.commands._output import Output, output
from bncli.commands._runs import chosen_source, params_of, stored_request
from bncli.core import ranges
from bncli.core.kernel import AnyKernel
from bncli.core.layout import Layout
from bncli.core.problem import Problem
from bncli.core.source import RANDOM, build_case, distributions
from bncli.errors import InputError
from bncli.loading.registry import require_types
from bncli.output.terminal import console
from bncli.verification import suite
from bncli.verification import verify as reports
from bncli.verification.layers.running_conventions import REQUIRABLE
from bncli.verification.search.case_line import CaseLine

LIVE_ARRAYS = 24  # of x's size: the arrays of the reference, in a wider dtype, are held at once
CURVE = ("64x64/per-activation",)


def _problem_data_and_kernel(command: Any) -> Any:
    problem = _options.problem(
        shape="a small one for each layout",
        layout=None,
        dtype="float32 and float64, or that of the data",
        epsilon=suite.EPSILON,
    )
    data, kernel = _options.source(several=(RANDOM,)), _options.kernel(("numpy", "numba"))
    for option in reversed((*problem, *data, *kernel, _options.PRESET)):
        command = option(command)
    return command


@click.command(epilog="Example: bncli verify numba --random offset-1e6 --random outlier")
@click.option("--curve", is_flag=True, help="Show only the error at rising |mean|/std, and where a kernel breaks down.")
@click.option(
    "--running",
    type=click.Choice(list(REQUIRABLE)),
    help="The convention that a layer's running statistics must follow.  [default: any, which the result names]",
)
@_options.DIGITS
@_search.options("10")
@_problem_data_and_kernel
@output
def verify(
    output: Output,
    curve: bool,
    kernel: tuple[str, ...],
    threads: int | None,
    isolate: bool,
    timeout: float | None,
    search: float | None,
    case: CaseLine | None,
    running: str | None,
    digits: float | None,
    **asked: Any,
) -> None:
    """Verify kernels over layouts, dtypes and inputs against the formulas in a wider dtype.

    y, the saved statistics, the gradients and inference are judged. Each row is the worst case of all
    layouts: its share of the error budget, its correct digits, and its place. The budget is derived from
    the dtype, the number of samples and the conditioning |mean|/std. Then come the invariants, which need
    no reference (a shifted, a scaled, a reordered batch; the sums of dx and of dx x_hat), the contract,
    and a search, as in gradcheck. A layer, such as a torch.nn.Module, is checked for its running
    statistics, its modes and its copies, too.

    Without options: a small shape in each layout, float32 and float64, every kind of data, epsilon 1e-5.
    With --image or --array: the problem of these data, per-activation unless --layout is given; invariants
    and contract are checked on a small problem like it. Exits 1 if a verdict is WRONG or UNDECIDED.
    """
    source = chosen_source(click.get_current_context(), asked)
    if curve and source != RANDOM:
        raise InputError(f"--curve draws its own data: leave out --{source}")
    execution = Execution(threads, isolate, timeout)
    kernels = load_kernels(kernel, execution, [asked["dtype"]] if asked["dtype"] else [])

    def admit(problem: Problem) -> None:
        require_memory(problem, kernels, LIVE_ARRAYS)

    with output.of_interrupted(), np.errstate(all="ignore"), console.progress() as update:
        options = (*execution.options, *(("--running", running) if running else ()))
        wanted = None if curve else _search.search(execution, update, search, case, asked)

        def progress(done: float, doing: str) -> None:
            update(done / len(kernels), doing)

        if source != RANDOM:
            data = build_case(source, stored_request(source, asked), admit=admit)
            report = reports.report_on(source, data, kernels, options, progress, wanted, running or "", digits)
        else:
            randoms = asked[RANDOM] or distributions()
            problems, seed = [] if case else _problems(kernels, CURVE if curve else (), asked), asked["seed"]
            for each in problems:
                admit(each)
            report = (
                reports.curve_report(problems, kernels, seed)
                if curve
                else reports.report(problems, randoms, kernels, seed, options, progress, wanted, running or "", digits)
            )
    output.emit(report)


def _problems(kernels: list[AnyKernel], default_shapes: tuple[str, ...], asked: Mapping[str, Any]) -> list[Problem]:
    """The problems that were asked for; every layout and both dtypes by default."""
    dtype, layout = asked["dtype"], asked["layout"]
    types = Problem((1, 1), dtype=dtype, params=params_of(asked["params"], kernels, dtype)) if dtype else None
    if types:
        for each in kernels:
            require_types(each, types)
    defaults = reports.default_problems(
        kernels,
        [types.types] if types else reports.DTYPES,
        (Layout(layout),) if layout else tuple(Layout),
        asked["epsilon"],
    )
    shapes = asked["shape"] or default_shapes
    parsed = (problem for text in shapes for default in defaults for problem in ranges.problems(text, default))
    return list(dict.fromkeys(parsed)) if shapes else defaults


COMMAND = verify
