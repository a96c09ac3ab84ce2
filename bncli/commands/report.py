"""Make one page of HTML from saved results."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from bncli import files
from bncli.comparison import matching, saved
from bncli.comparison.compare import compare
from bncli.errors import InputError
from bncli.output.page import html

SUFFIXES = (".html", ".htm")


@click.command(epilog="Example: bncli report old.json new.json --output report.html")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RESULT.json...")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="The file to write.",
)
def report(results: tuple[Path, ...], output: Path) -> None:
    """Make one page of HTML from results that --export FILE.json wrote, of whichever commands.

    The page has verdicts, charts with their figures, tables that sort, what each was measured on and
    the commands that show a failure again. It is one file that needs no network. Two results of
    bench are also compared, the second with the first, as bncli compare does.

    Exits 0 also where a result has failures: the page shows them.
    """
    if output.suffix.lower() not in SUFFIXES:
        raise InputError(f"{str(output)!r} is no name of a page: let it end in {SUFFIXES[0]}")
    files.check_writable(output)
    html.require()
    reports = [saved.load(path) for path in results]
    named = list(zip(_names(results), reports, strict=True))
    files.replace_text(output, html.page(named, _comparison(named)))
    click.echo(f"wrote {str(output)!r}", err=True)


def _comparison(results: Sequence[html.Named]) -> html.Named | None:
    """The second result of bench against the first, where there are two."""
    benches = [(name, report) for name, report in results if report.command == "bench"]
    if len(benches) != 2:
        return None
    (old, before), (new, after) = benches
    # An error then names the files, and not old and new.
    return f"{old} → {new}", compare(
        *(matching.run(*each).report for each in ((before, repr(old)), (after, repr(new))))
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """Files by their names, or where two have the same by their paths."""
    counts = Counter(path.name for path in paths)
    return [path.name if counts[path.name] == 1 else str(path) for path in paths]


COMMAND = report
