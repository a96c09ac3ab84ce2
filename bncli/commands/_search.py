"""The options of a search."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from bncli.commands._kernels import Execution, twin
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
BROUGHT = (*NAMING, "dtype", "params", "epsilon", "random", "threads")  # that a case has of its own


def options(default: str) -> Callable[[Any], Any]:
    """--search and --case; the help of --search says when it has which ``default``."""
    seconds = click.option(
        "--search",
        type=Number(least=0),
        metavar="SECONDS",
        help="Then try problems, memory layouts and call histories drawn by --seed, until one is WRONG. What is typed "
        f"of --dtype, --epsilon, --layout and --threads stays the same.  [default: {default}]",
    )
    case = click.option(
        "--case",
        metavar="LINE",
        callback=_parsed,
        help="Instead: try the one case of a search that LINE describes, as reproduce: prints it.",
    )
    return lambda command: seconds(case(command))


def _parsed(ctx: click.Context, parameter: click.Parameter, text: str | None) -> CaseLine | None:
    return CaseLine.parse(text) if text is not None else None


def search(
    execution: Execution, update: Update, seconds: float | None, case: CaseLine | None, asked: Mapping[str, Any]
) -> Search:
    """What was asked for, ``asked`` being the options of problems and data; called within a click command.

    Files and modules of users are searched in processes of their own.
    """
    ctx = click.get_current_context()
    name = ctx.command.name or ""

    def typed(option: str) -> bool:
        return ctx.get_parameter_source(option) in TYPED

    if case and (brought := next(filter(typed, BROUGHT), None)):
        raise InputError(f"--case has a {brought} of its own: leave out --{brought}")
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
        lambda kernel: twin(kernel, execution),
        update,
    )
