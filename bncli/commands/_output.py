"""Where a report goes: a table or a format on stdout, and files."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from bncli import files, plugins
from bncli.benchmarking import environment
from bncli.core.report import Exporter, Report
from bncli.errors import InputError
from bncli.render import console, tables

PACKAGE = "bncli.export"
TABLE = "table"


class Output:
    """What --format and --export ask for; whatever is wrong with them is said before any work."""

    def __init__(self, format_name: str, paths: Sequence[Path]) -> None:
        self.format_name = format_name
        self.files = {path: _exporter_for(path) for path in paths}
        for path in paths:
            files.check_writable(path)
        self.shown = False

    def show(self, part: Report) -> None:
        """Print a part of the report as soon as it is known, where tables are wanted; ``emit`` then prints none."""
        if self.format_name == TABLE:
            tables.show(part, console.stdout())
            self.shown = True

    def emit(self, report: Report) -> None:
        """Print ``report``, write it to the files that were asked for, and raise CheckFailed where it failed."""
        report = replace(report, environment=report.environment or environment.collect())
        for warning in report.warnings:
            console.warn(warning)
        if self.format_name != TABLE:
            click.echo(_exporter(self.format_name).render(report), nl=False)
        elif not self.shown:
            tables.show(report, console.stdout())
        self.save(report)
        report.raise_if_failed()

    def save(self, report: Report) -> None:
        """Write ``report`` to the files that were asked for, each of which appears whole or stays as it was."""
        for path, exporter in self.files.items():
            files.replace_text(path, exporter.render(report))


def output(command: Callable[..., None]) -> Callable[..., None]:
    """Add --format and --export; the command receives an ``Output`` as ``output``."""

    @click.option(
        "--format",
        "format_name",
        type=click.Choice([TABLE, *plugins.names(PACKAGE)]),
        default=TABLE,
        show_default=True,
        help="What to print on stdout.",
    )
    @click.option(
        "--export",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Also write the report to this file; the suffix chooses the format. Repeatable.",
    )
    @wraps(command)
    def wrapper(format_name: str, export: tuple[Path, ...], **options: Any) -> None:
        command(output=Output(format_name, export), **options)

    return wrapper


def _exporter(name: str) -> Exporter:
    exporter: Exporter = plugins.load(PACKAGE, name).EXPORTER
    return exporter


def _exporter_for(path: Path) -> Exporter:
    """The exporter whose suffix the name ends in; of two, that of the longer: ``.pyperf.json`` is no ``.json``."""
    exporters = {suffix: each for each in map(_exporter, plugins.names(PACKAGE)) for suffix in each.suffixes}
    fitting = [suffix for suffix in exporters if path.name.lower().endswith(suffix)]
    if not fitting:
        raise InputError(f"cannot tell the format of {str(path)!r} from its suffix: use one of {', '.join(exporters)}")
    return exporters[max(fitting, key=len)]
