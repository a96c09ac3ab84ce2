"""Verify how exact a kernel is on hard data of every kind, and its contract."""

from collections.abc import Mapping
from typing import Any

import click
import numpy as np

from bncli.commands import _options, _search
from bncli.commands._groups import Group, command, option
from bncli.commands._kernels import Execution, load_kernels, require_memory
from bncli.commands._output import Output, output
from bncli.commands._runs import chosen_source, making, params_of, require_agreement, stored_request
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

LIVE_ARRAYS = 12  # of x's size: x, dy, the results of two passes, and a batch nearer to 0 that settles a finding
CURVE = ("64x64/per-activation",)


def _kernel_problem_and_data(function: Any) -> Any:
    problem = _options.problem(
        shape="a small one for each layout",
        layout=None,
        dtype="float32 and float64, or that of the data",
        epsilon=suite.EPSILON,
    )
    data, kernel = _options.source(several=(RANDOM,)), _options.kernel(("numpy", "numba"))
    for each in reversed((*kernel, *problem, *data)):
        function = each(function)
    return function


@command(
    {
        "bncli verify mine.py": "layouts, dtypes, data",
        "bncli verify mine.py numpy --curve": "the error far from 0",
        "bncli verify torch.nn:BatchNorm2d --running pytorch": "a layer",
    }
)
@option(
    Group.RUN,
    "--curve",
    is_flag=True,
    help="Show only the error at rising |mean|/std, and where a kernel breaks down.",
)
@option(
    Group.RUN,
    "--running",
    type=click.Choice(list(REQUIRABLE)),
    help="The convention that a layer's running statistics must follow.  [default: any of them; the result names it]",
)
@_options.DIGITS
@_search.options("10")
@_kernel_problem_and_data
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

    y, the saved statistics, the gradients and inference are judged, then the invariants, which need no reference,
    the contract, and a search, as in gradcheck. A layer, such as a torch.nn.Module, is checked for its running
    statistics, its modes and its copies, too. Each row is the worst case of all layouts.

    With --image or --array, the problem is that of the data; invariants and contract are checked on a small
    problem like it. Exits 1 if a verdict is WRONG, or UNDECIDED: the data could not have shown a mistake.
    """
    source = chosen_source(asked)
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
            request = stored_request(source, asked)
            update(0, making(source, request))
            data = build_case(source, request, admit=admit)
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
    found: dict[Problem, None] = {}
    for text in shapes:
        for problem in (each for default in defaults for each in ranges.problems(text, default)):
            require_agreement(text, problem, asked)
            found[problem] = None
    return list(found) if shapes else defaults


COMMAND = verify
