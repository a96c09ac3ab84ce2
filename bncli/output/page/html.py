"""The page: a template that escapes all values, with its style and its script inside."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import bncli
from bncli.core.report import Report
from bncli.core.units import printable
from bncli.errors import InputError
from bncli.output.drawing import svg
from bncli.output.drawing.style import STYLES
from bncli.output.page import sections

Named = tuple[str, Report]
ROOM, TEMPLATES = "bncli.output.page", "templates"


def require() -> None:
    """Raise InputError where Jinja2 is not installed."""
    if find_spec("jinja2") is None:
        raise InputError("a page needs the package Jinja2: pip install 'bncli[report]'")


def page(results: Sequence[Named], comparison: Named | None = None) -> str:
    """One page of ``results``, each with its name, and of the comparison of two of them.

    Names and values of reports are escaped: they can be neither markup nor script.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(_asset),
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_text,
    )
    # Only elements that bncli itself has made, with escaped text, are marked as markup.
    environment.filters["picture"] = lambda chart: Markup(svg.picture(chart))
    environment.filters["key"] = lambda series: Markup(svg.key(series))
    style, script = Markup(_style()), Markup(_asset("page.js"))
    return environment.get_template("page.html").render(
        version=bncli.__version__,
        sections=[sections.section(f"result-{n}", name, report) for n, (name, report) in enumerate(results, 1)],
        comparison=sections.section("comparison", *comparison) if comparison else None,
        environment=sections.environment(report for _, report in results),
        style=style,
        script=script,
        hashes={"style": _hash(style), "script": _hash(script)},
    )


def _text(value: Any) -> Any:
    """``value`` with control characters and lone surrogates, which no file can hold, made visible."""
    return printable(value) if type(value) is str else value


def _asset(name: str) -> str:
    return files(ROOM).joinpath(TEMPLATES, name).read_text(encoding="utf-8")


def _style() -> str:
    """The style sheet, and the colour of each series on white and on black."""
    light, dark = (
        "".join(f".s{number} {{ --series: {getattr(each, ground)}; }}\n" for number, each in enumerate(STYLES))
        for ground in ("light", "dark")
    )
    return f"{_asset('page.css')}{light}@media screen and (prefers-color-scheme: dark) {{\n{dark}}}\n"


def _hash(content: str) -> str:
    """The hash by which the page's content security policy allows this style or script."""
    return f"sha256-{b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
