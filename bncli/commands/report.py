"""Make one page of HTML from saved results."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from bncli import files
from bncli.commands._groups import Group, command, option
from bncli.commands._output import quietness
from bncli.comparison import matching, saved
from bncli.comparison.compare import compare
from bncli.errors import InputError
from bncli.output.page import html
from bncli.output.terminal import console

SUFFIXES = (".html", ".htm")


@command(
    {
        "bncli report verify.json bench.json": "write report.html",
        "bncli report old.json new.json": "and compare two results of bench",
        "bncli report bench.json --output page.html": "under another name",
    }
)
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RESULT.json...")
@option(
    Group.OUTPUT,
    "--output",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    show_default=True,
    metavar="FILE.html",
    help="The file to write.",
)
@quietness
def report(results: tuple[Path, ...], output: Path) -> None:
    """Make one HTML page from results of any commands, saved by --export FILE.json.

    The page shows verdicts, charts, sortable tables, the machine and the software, and the commands that
    reproduce a failure. It is one file and needs no network. If two results are of bench, the page also
    compares the second with the first. Exits 0 even if a result has failures.
    """
    if output.suffix.lower() not in SUFFIXES:
        raise InputError(f"{str(output)!r} is not the name of an HTML page: let it end in {SUFFIXES[0]}")
    files.check_writable(output)
    html.require()
    reports = [saved.load(path) for path in results]
    named = list(zip(_names(results), reports, strict=True))
    files.replace_text(output, html.page(named, _comparison(named)))
    console.wrote(output)


def _comparison(results: Sequence[html.Named]) -> html.Named | None:
    """The comparison of the second result of bench with the first, if there are exactly two."""
    benches = [(name, report) for name, report in results if report.command == "bench"]
    if len(benches) != 2:
        return None
    (old, before), (new, after) = benches
    # An error then names the files instead of old and new.
    return f"{old} → {new}", compare(
        *(matching.run(*each).report for each in ((before, repr(old)), (after, repr(new))))
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """The names of files; their paths if two files have the same name."""
    counts = Counter(path.name for path in paths)
    return [path.name if counts[path.name] == 1 else str(path) for path in paths]


COMMAND = report
