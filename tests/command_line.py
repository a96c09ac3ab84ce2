"""The command line, called in this process."""

import json
import os

from click.testing import CliRunner

from bncli import plugins
from bncli.cli import main

COMMANDS = plugins.names("bncli.commands")
SMALL = ("--shape", "5x4x4x3")


def invoke(*args, columns=80):
    """click's result of a command line, however it ends."""
    return CliRunner().invoke(main, [str(arg) for arg in args], env={"COLUMNS": str(columns)})


def run(*args, code=0, columns=100):
    """The same, of a command line that ends with this exit code."""
    result = invoke(*args, columns=columns)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def rows(*args, code=0):
    return json.loads(run(*args, "--format", "json", code=code).stdout)["rows"]


def fails(*args, code=2):
    """The one line on stderr of a command that fails; nothing is printed and nothing written."""
    before = sorted(os.listdir())
    result = run(*args, code=code)
    assert result.stdout == ""
    assert sorted(os.listdir()) == before
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("bncli: error: ")
    return lines[0]
