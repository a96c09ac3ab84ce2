"""The options --format, --export and --plot: print a report on stdout, and save it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from bncli import files, notices, plugins
from bncli.commands._groups import Group, option
from bncli.core.report import Exporter, Interrupted, Report
from bncli.errors import InputError
from bncli.notices import Notice
from bncli.output.drawing import figure
from bncli.output.terminal import console, tables

PACKAGE, CHARTS = "bncli.output.formats", "bncli.output.charts"
TABLE = "table"
TIMED = ("bench",)  # the commands that time something
_PLOT = option(
    Group.OUTPUT,
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also draw the report into this .svg, .png or .pdf file.",
)


class Output:
    """The values of --format, --export and --plot; raises InputError before any work if one cannot be used."""

    def __init__(self, format_name: str, paths: Sequence[Path], plot: Path | None = None) -> None:
        self.format_name = format_name
        self.files = {path: _exporter_for(path) for path in paths}
        for path in self.files:
            files.check_writable(path)
        places = [path.resolve() for path in paths]
        if twice := next((path for path, place in zip(paths, places, strict=True) if places.count(place) > 1), None):
            raise InputError(f"--export names the file {str(twice)!r} twice: give two names")
        if plot:
            figure.require(plot)
        self.plot = plot
        self.parts: list[Report] = []

    def show(self, part: Report) -> None:
        """Print a part of the report early, if --format is table; ``emit`` then prints no table again."""
        self.parts += [part] if part.rows else []
        if self.format_name == TABLE:
            tables.show(part, console.stdout())

    def emit(self, report: Report) -> None:
        """Print ``report``, write it to the files of --export and --plot, and raise CheckFailed if it failed.

        The files are written even if printing fails, as it does when a reader such as head closes the pipe.
        """
        if self.files or self.plot or self.format_name != TABLE:
            report = _with_environment(report)
        try:
            self._print(report)
        finally:
            self.save(report)
            for path in self.files:
                console.wrote(path)
            if self.plot:
                _draw(report, self.plot)
        if report.failures and report.doubt:  # the error that follows names the failures
            console.note(f"bncli: {report.doubt}")
        report.raise_if_failed()

    @contextmanager
    def of_interrupted(self) -> Iterator[None]:
        """On Ctrl-C, emit the results so far."""
        try:
            yield
        except Interrupted as interrupted:
            notices.send(Notice.SAVING)
            if interrupted.report.rows:
                self.emit(replace(interrupted.report, failures=()))
            raise

    def _print(self, report: Report) -> None:
        for warning in report.warnings:
            console.warn(warning)
        formats = [*self.files.values(), *([] if self.format_name == TABLE else [_exporter(self.format_name)])]
        if any(each.of_times for each in formats) and not _has_times(report):
            console.warn("no kernel was timed, so pyperf's format would be empty, and is not written")
        if self.format_name != TABLE:
            click.echo(self._rendered(_exporter(self.format_name), report), nl=False)
        elif not self.parts:
            tables.show(report, console.stdout())

    def save(self, report: Report) -> None:
        """Write ``report`` to the files of --export; each appears whole or stays as it was."""
        for path, exporter in self.files.items():
            if rendered := self._rendered(exporter, report):
                files.replace_text(path, rendered)

    def _rendered(self, exporter: Exporter, report: Report) -> str:
        """The text of a file or of stdout; empty if it would hold times, and nothing was timed."""
        if exporter.of_times and not _has_times(report):
            return ""
        parts = self.parts if exporter.as_shown and self.parts else [report]
        return "\n".join(map(exporter.render, parts))


def quietness(command: Callable[..., None]) -> Callable[..., None]:
    """Add --quiet and --no-progress, which ``Command`` obeys."""
    bare = option(Group.OUTPUT, "--no-progress", is_flag=True, help="Show no progress bar.")
    quiet = option(Group.OUTPUT, "--quiet", "-q", is_flag=True, help="Print only the report, warnings and errors.")
    return quiet(bare(command))


def output(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a report, --plot only for a command with charts; it receives an ``Output`` as ``output``."""

    @option(
        Group.OUTPUT,
        "--export",
        "-o",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Also write the report to this file; the suffix chooses the format. Repeatable.",
    )
    @option(
        Group.OUTPUT,
        "--format",
        "format_name",
        type=click.Choice([TABLE, *_formats(command.__name__)]),
        default=TABLE,
        show_default=True,
        help="The format of the report on stdout.",
    )
    @quietness
    @wraps(command)
    def wrapper(format_name: str, export: tuple[Path, ...], plot: Path | None = None, **options: Any) -> None:
        for path in export:
            if _exporter_for(path).of_times and command.__name__ not in TIMED:
                raise InputError(f"{str(path)!r} would hold times, and {command.__name__} has none: use a .json")
        command(output=Output(format_name, export, plot), **options)

    return _PLOT(wrapper) if command.__name__ in plugins.names(CHARTS) else wrapper


def _formats(command: str) -> list[str]:
    """The formats of the results of ``command``."""
    return [name for name in plugins.names(PACKAGE) if command in TIMED or not _exporter(name).of_times]


def _with_environment(report: Report) -> Report:
    from bncli.benchmarking import environment  # takes 30 ms to import, and a table shows none of it

    return report if report.environment else replace(report, environment=environment.collect())


def _has_times(report: Report) -> bool:
    return any(row.get("samples") for row in report.rows)


def _draw(report: Report, path: Path) -> None:
    charts = plugins.load(CHARTS, report.command).CHARTS(report)
    if charts:
        figure.save(path, charts, f"bncli {report.command}, {report.machine}")
        console.wrote(path)
    else:
        console.warn(f"there is nothing to draw: {str(path)!r} is not written")


def _exporter(name: str) -> Exporter:
    exporter: Exporter = plugins.load(PACKAGE, name).EXPORTER
    return exporter


def _exporter_for(path: Path) -> Exporter:
    """The exporter with the longest suffix that the name ends in: ``.pyperf.json`` wins over ``.json``."""
    if str(path) in ("-", "/dev/stdout"):
        raise InputError(f"--export {path}: the report is on stdout already: choose its format with --format")
    exporters = {suffix: each for each in map(_exporter, plugins.names(PACKAGE)) for suffix in each.suffixes}
    fitting = [suffix for suffix in exporters if path.name.lower().endswith(suffix)]
    if not fitting:
        raise InputError(f"cannot tell the format of {str(path)!r} from its suffix: use one of {', '.join(exporters)}")
    return exporters[max(fitting, key=len)]
