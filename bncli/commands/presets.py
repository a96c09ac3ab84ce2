"""List the presets: named sets of option defaults."""

from bncli.commands import _presets
from bncli.commands._groups import command
from bncli.commands._output import Output, output
from bncli.core import ranges
from bncli.core.report import Column, Report
from bncli.core.rows.lists import PresetRow

COLUMNS = (Column("preset", "preset"), Column("problems", "problems", "count"), Column("summary", "summary", "prose"))


@command(
    {
        "bncli presets": "the names that --preset takes",
        "bncli presets --format markdown": "for a page",
        "bncli bench --preset pytorch": "use one",
    }
)
@output
def presets(output: Output) -> None:
    """List the presets that --preset takes by name.

    A preset is a TOML file of option defaults. Top-level keys apply to every command that has the option,
    a table such as [bench] to that command alone. --preset also takes the path of such a file.
    """
    output.emit(Report("presets", COLUMNS, [_row(name) for name in _presets.shipped()]))


def _row(name: str) -> PresetRow:
    content = _presets.load(name)
    shapes = content.get("shape", [])
    problems = sum(len(ranges.expand(shape)) for shape in ([shapes] if isinstance(shapes, str) else shapes))
    return PresetRow(preset=name, problems=problems, summary=content.get(_presets.SUMMARY, ""))


COMMAND = presets
