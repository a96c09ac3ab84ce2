"""Types of option values beyond Click's own; each error gives the value, what is wrong, and a hint."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from bncli import plugins
from bncli.errors import InputError
from bncli.loading.registry import PACKAGE, is_registered, kernel_names

EVERY_KERNEL = "all"


class Named(click.ParamType[str]):
    """A word; the shell offers ``names`` for it, and files where none of them fits and it may be ``or_file``."""

    def __init__(self, name: str, names: Callable[[], Iterable[str]], or_file: bool = False) -> None:
        self.name, self.names, self.or_file = name, names, or_file

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that start with ``incomplete``, or a request for files."""
        found = [CompletionItem(name) for name in self.names() if name.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="file") for _ in range(self.or_file)]


class OneOf(click.Choice[str]):
    """One of ``choices``, or a name that stands for one."""

    def __init__(self, choices: Iterable[str], aliases: Mapping[str, str]) -> None:
        super().__init__(tuple(choices))
        self.aliases = aliases

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        name = str(value).lower()
        return super().convert(str(self.aliases.get(name, value)), param, ctx)


class Size(click.ParamType[tuple[int, int]]):
    name = "WxH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        width, _, height = str(value).lower().partition("x")
        if not (_is_count(width) and _is_count(height)):
            self.fail(f"{value!r} is not a size in pixels: write width and height, as 96x96", param, ctx)
        return int(width), int(height)


class Number(click.ParamType[float]):
    """A finite number, at least ``least`` and more than ``above``. Click's FloatRange accepts NaN."""

    name = "float"

    def __init__(self, least: float = -math.inf, above: float = -math.inf) -> None:
        self.least, self.above = least, above

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            bare = str(value).rstrip("%s ")  # without a unit, which the option has already
            self.fail(f"{value!r} is not a number{f': give {bare}' if _is_plain(bare) else ''}", param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        if number < self.least or number <= self.above:
            bound = f"more than {self.above:g}" if self.above > -math.inf else f"{self.least:g} or more"
            self.fail(f"{value!r} is too small: give {bound}", param, ctx)
        return number


class Factor(Number):
    """A factor of at least 1, as 1.10; or a share that is added to 1, as 10%."""

    name = "factor"

    def __init__(self) -> None:
        super().__init__(least=1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        share, percent, rest = str(value).strip().partition("%")
        if percent and not rest:
            return 1 + Number(least=0).convert(share, param, ctx) / 100
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            wrong = error.message.partition(": give")[0]
            self.fail(f"{wrong}: give 1 or more, as 1.10 or 10%", param, ctx)


class Renaming(click.ParamType[tuple[str, str]]):
    """Two names, ``before=mine``."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):  # Click converts a default again
            return value
        old, _, new = str(value).partition("=")
        if not old or not new:
            self.fail(f"{value!r} is not a renaming: write the old name and the new one, as before=mine", param, ctx)
        return old, new


class Counts(click.ParamType[tuple[int, ...]]):
    """One or several counts, ``1,2,4``, each at least 1; ``of`` is the plural noun of what is counted."""

    name = "counts"

    def __init__(self, of: str) -> None:
        self.of = of

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        words = str(value).split(",")
        if not all(map(_is_count, words)):
            self.fail(f"{value!r} is not a number of {self.of} or a list of numbers: write 2, or 1,2,4", param, ctx)
        return tuple(dict.fromkeys(map(int, words)))


def _is_plain(word: str) -> bool:
    return word.isascii() and word.replace(".", "", 1).isdecimal() and len(word) < 8


def _is_count(word: str) -> bool:
    # int() refuses a text of some thousand digits.
    return word.isdecimal() and len(word) < 8 and 0 < int(word) < 1 << 16


class KernelSpec(Named):
    """A kernel for ``load_kernel``, or ``all``. A preset may give registered names only: it must not run files."""

    def __init__(self) -> None:
        super().__init__("kernel", lambda: (*plugins.names(PACKAGE), EVERY_KERNEL), or_file=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        spec = str(value)
        source = ctx.get_parameter_source(param.name or "") if ctx and param else None
        if source is ParameterSource.DEFAULT_MAP and spec != EVERY_KERNEL and not is_registered(spec):
            if plugins.is_path(spec) or "." in spec:
                raise InputError(f"kernel {spec!r}: a preset cannot run a file's code: type it on the command line")
            raise InputError(plugins.unknown("kernel", spec, kernel_names()))
        return spec
