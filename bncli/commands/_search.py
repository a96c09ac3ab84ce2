"""The options of a search."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from bncli.commands._groups import Group, option
from bncli.commands._kernels import Execution, in_own_process
from bncli.commands._options import NAMING, is_typed, names_problem
from bncli.commands._types import Number
from bncli.core.layout import Layout
from bncli.errors import InputError
from bncli.output.terminal.console import Update
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.running import Search
from bncli.verification.search.sequence import Fixed

DEFAULT = {"gradcheck": 3.0, "verify": 10.0}  # seconds
IN_CASE = (*NAMING, "dtype", "params", "epsilon", "random", "seed", "threads")  # options whose values a case line holds


def options(default: str) -> Callable[[Any], Any]:
    """--search and --case; ``default`` is the default of --search in words."""
    seconds = option(
        Group.TIME,
        "--search",
        type=Number(least=0),
        metavar="SECONDS",
        help="Then search for SECONDS: draw problems, memory layouts and call histories from --seed, until one is "
        f"WRONG. Typed --dtype, --epsilon, --layout and --threads stay fixed.  [default: {default}]",
    )
    case = option(
        Group.RUN,
        "--case",
        metavar="LINE",
        callback=_parsed,
        help="Check only the case that LINE describes; a search prints LINE after reproduce:.",
    )
    return lambda command: seconds(case(command))


def _parsed(ctx: click.Context, parameter: click.Parameter, text: str | None) -> CaseLine | None:
    return CaseLine.parse(text) if text is not None else None


def search(
    execution: Execution, update: Update, seconds: float | None, case: CaseLine | None, asked: Mapping[str, Any]
) -> Search:
    """The search of --search and --case; ``asked`` are the options of problems and data. Call it in a click command.

    Users' files and modules are searched in processes of their own.
    """
    name = click.get_current_context().command.name or ""
    if case and (held := next(filter(is_typed, IN_CASE), None)):
        raise InputError(f"--case already holds a {held}: leave out --{held}")
    if seconds is None:
        seconds = 0.0 if name == "gradcheck" and names_problem() else DEFAULT[name]
    return Search(
        seconds,
        asked["seed"],
        Fixed(
            asked["dtype"],
            asked["params"],
            asked["epsilon"] if is_typed("epsilon") else None,
            Layout(asked["layout"]) if is_typed("layout") else None,
            execution.threads,
        ),
        case,
        lambda kernel: in_own_process(kernel, execution),
        update,
    )
