"""The options of a search."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from bncli.commands._kernels import Execution, in_own_process
from bncli.commands._options import TYPED
from bncli.commands._types import Number
from bncli.core.layout import Layout
from bncli.errors import InputError
from bncli.output.terminal.console import Update
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.running import Search
from bncli.verification.search.sequence import Fixed

DEFAULT = {"gradcheck": 3.0, "verify": 10.0}  # seconds
NAMING = ("shape", "layout", "array", "image")  # options that name a problem
IN_CASE = (*NAMING, "dtype", "params", "epsilon", "random", "threads")  # options whose values a case line holds


def options(default: str) -> Callable[[Any], Any]:
    """--search and --case; ``default`` is the default of --search in words."""
    seconds = click.option(
        "--search",
        type=Number(least=0),
        metavar="SECONDS",
        help="Then search for SECONDS: draw problems, memory layouts and call histories from --seed, until one is "
        f"WRONG. Typed --dtype, --epsilon, --layout and --threads stay fixed.  [default: {default}]",
    )
    case = click.option(
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
    ctx = click.get_current_context()
    name = ctx.command.name or ""

    def typed(option: str) -> bool:
        return ctx.get_parameter_source(option) in TYPED

    if case and (held := next(filter(typed, IN_CASE), None)):
        raise InputError(f"--case already holds a {held}: leave out --{held}")
    if seconds is None:
        named = name == "gradcheck" and (ctx.default_map or any(map(typed, NAMING)))
        seconds = 0.0 if named else DEFAULT[name]
    return Search(
        seconds,
        asked["seed"],
        Fixed(
            asked["dtype"],
            asked["params"],
            asked["epsilon"] if typed("epsilon") else None,
            Layout(asked["layout"]) if typed("layout") else None,
            execution.threads,
        ),
        case,
        lambda kernel: in_own_process(kernel, execution),
        update,
    )
