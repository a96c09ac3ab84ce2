"""Runs of ``bncli bench``, and what they save."""

import json
from pathlib import Path

from click.testing import CliRunner

from bncli.cli import main


def run(*arguments, code=0, columns=80):
    result = CliRunner().invoke(main, ["bench", *arguments], env={"COLUMNS": str(columns)})
    assert result.exit_code == code, result.output
    return result


def saved(name="out.json"):
    return json.loads(Path(name).read_text(encoding="utf-8"))


def problems_of(document):
    return list(dict.fromkeys(row["problem"].partition("/")[0] for row in document["rows"]))


BASIC = ("--shape", "5x4", "--kernel", "numpy")
