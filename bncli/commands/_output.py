"""Where a report goes: a table or a format on stdout, and files."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from bncli import files, plugins
from bncli.benchmarking import environment
from bncli.core.report import Exporter, Interrupted, Report
from bncli.errors import InputError
from bncli.output.drawing import figure
from bncli.output.terminal import console, tables

PACKAGE, CHARTS = "bncli.output.formats", "bncli.output.charts"
TABLE = "table"
_PLOT = click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Also draw it into this file: .svg, .png or .pdf.",
)


class Output:
    """What --format, --export and --plot ask for; whatever is wrong with them is said before any work."""

    def __init__(self, format_name: str, paths: Sequence[Path], plot: Path | None = None) -> None:
        self.format_name = format_name
        self.files = {path: _exporter_for(path) for path in paths}
        for path in paths:
            files.check_writable(path)
        if plot:
            figure.require(plot)
        self.plot = plot
        self.shown = False

    def show(self, part: Report) -> None:
        """Print a part of the report as soon as it is known, where tables are wanted; ``emit`` then prints none."""
        if self.format_name == TABLE:
            tables.show(part, console.stdout())
            self.shown = True

    def emit(self, report: Report) -> None:
        """Print ``report``, write it to the files that were asked for, and raise CheckFailed where it failed.

        The files are also written where nothing can be printed: who reads only the first lines wants them, too.
        """
        report = replace(report, environment=report.environment or environment.collect())
        try:
            self._print(report)
        finally:
            self.save(report)
            if self.plot:
                _draw(report, self.plot)
        report.raise_if_failed()

    @contextmanager
    def of_interrupted(self) -> Iterator[None]:
        """Emit what was found until Ctrl-C comes."""
        try:
            yield
        except Interrupted as interrupted:
            if interrupted.report.rows:
                self.emit(replace(interrupted.report, failures=()))
            raise

    def _print(self, report: Report) -> None:
        for warning in report.warnings:
            console.warn(warning)
        if self.format_name != TABLE:
            click.echo(_exporter(self.format_name).render(report), nl=False)
        elif not self.shown:
            tables.show(report, console.stdout())

    def save(self, report: Report) -> None:
        """Write ``report`` to the files that were asked for, each of which appears whole or stays as it was."""
        for path, exporter in self.files.items():
            files.replace_text(path, exporter.render(report))


def output(command: Callable[..., None]) -> Callable[..., None]:
    """Add --format and --export, and where the command has charts --plot; it receives an ``Output`` as ``output``."""

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
    def wrapper(format_name: str, export: tuple[Path, ...], plot: Path | None = None, **options: Any) -> None:
        command(output=Output(format_name, export, plot), **options)

    return _PLOT(wrapper) if command.__name__ in plugins.names(CHARTS) else wrapper


def _draw(report: Report, path: Path) -> None:
    charts = plugins.load(CHARTS, report.command).CHARTS(report)
    if charts:
        figure.save(path, charts, f"bncli {report.command}, {report.machine}")
    else:
        console.warn(f"there is nothing to draw: {str(path)!r} is not written")


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
