"""Commands whose help starts with three examples and has its options in groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource

from bncli.output.terminal import console

Decorated = TypeVar("Decorated", bound=Callable[..., Any] | click.Command)
WIDEST = 26  # characters of the column of options; a longer one has a line of its own


class Group(StrEnum):
    """The groups of options, in the order of the help."""

    RUN = "What to run"
    DATA = "Problem and data"
    TIME = "How long"
    GATE = "Gate"
    OUTPUT = "Output"
    ISOLATION = "Isolation"
    CLUSTER = "Cluster"


class Option(click.Option):
    """An option of a ``group``. One that takes a single value may be typed twice only with equal values."""

    def __init__(self, *arguments: Any, group: Group, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.group = group
        self.is_short = any(len(name) == len("-k") for name in self.opts)

    def get_help_extra(self, ctx: click.Context) -> Any:
        """What stands in brackets: the default, without the range of a count, which an error gives."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let ``parser`` keep every value: Click's own keeps the last one alone, and says nothing."""
        super().add_to_parser(cast(Any, _KeepsEveryValue(parser)), ctx)

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """The value; raises UsageError if there are several that differ."""
        typed = opts.get(self.name or "")
        if isinstance(typed, list) and not self.multiple:
            if len(typed) > 1 and len({repr(self.type_cast_value(ctx, value)) for value in typed}) > 1:
                names = f"{self.opts[0]} and {self.secondary_opts[0]} are both given" if self.secondary_opts else ""
                values = " and ".join(map(str, typed))
                raise click.UsageError(f"{names or f'{self.opts[0]} is given as {values}'}: give one", ctx)
            opts = {**opts, self.name or "": typed[-1]}
        return super().consume_value(ctx, opts)


class _KeepsEveryValue:
    """A parser that options are added to, each with an action that appends."""

    def __init__(self, parser: Any) -> None:
        self.parser = parser

    def add_option(self, *, action: str, **settings: Any) -> None:
        self.parser.add_option(action=action.replace("store", "append"), **settings)


class Command(click.Command):
    """A command with ``examples``: command lines, each with what it is for."""

    def __init__(self, *arguments: Any, examples: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = examples

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, as quietly as --quiet and --no-progress say."""
        quiet, bare = ctx.params.pop("quiet", False), ctx.params.pop("no_progress", False)
        with console.muted(notes=quiet, progress=quiet or bare):
            return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Name the command that lists the pages of the manual."""
        formatter.write("\nbncli help lists the pages of the manual.\n")

    def get_help(self, ctx: click.Context) -> str:
        """The help; no line ends within a word that can be typed, such as --max-time."""
        formatter = _Unbroken(width=ctx.terminal_width, max_width=ctx.max_content_width)
        self.format_help(ctx, formatter)
        return formatter.getvalue().rstrip("\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, and then each group, its options with a short name first: these are used most."""
        width = max(map(len, self.examples))
        with formatter.section("Examples"):
            for line, purpose in self.examples.items():
                formatter.write(f"{'':{formatter.current_indent}}{line:{width}}  # {purpose}\n")
        for group in Group:
            options = [each for each in self.get_params(ctx) if _group(each) is group]
            options.sort(key=lambda option: not (isinstance(option, Option) and option.is_short))
            records = [record for option in options if (record := option.get_help_record(ctx))]
            if records:
                with formatter.section(group):
                    formatter.write_dl([(f"{names:{WIDEST}}", text) for names, text in records], col_max=WIDEST)


class _Unbroken(click.HelpFormatter):
    """Lines that end between words: Click's wrapping takes every hyphen for a place to break a line."""

    JOINT = "\N{NON-BREAKING HYPHEN}"

    def write_text(self, text: str) -> None:
        super().write_text(text.replace("-", self.JOINT))

    def write_dl(self, rows: Iterable[tuple[str, str]], *arguments: Any, **settings: Any) -> None:
        super().write_dl([(name, text.replace("-", self.JOINT)) for name, text in rows], *arguments, **settings)

    def getvalue(self) -> str:
        return super().getvalue().replace(self.JOINT, "-")


def _group(parameter: click.Parameter) -> Group | None:
    """Where a parameter stands in the help: Click's own option, --help, with those of the output; a word nowhere."""
    if isinstance(parameter, Option):
        return parameter.group
    return Group.OUTPUT if isinstance(parameter, click.Option) else None


def option(group: Group, *names: str, **settings: Any) -> Callable[[Decorated], Decorated]:
    """``click.option`` in a ``group``."""
    return click.option(*names, **{"cls": Option, **settings}, group=group)


def command(examples: Mapping[str, str]) -> Callable[[Callable[..., None]], Command]:
    """``click.command`` with ``examples``: command lines of at most 78 characters, purposes included."""
    return click.command(cls=Command, examples=examples)
