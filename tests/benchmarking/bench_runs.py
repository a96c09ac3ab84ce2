"""Runs of ``bncli bench``, and what they save."""

import json
from pathlib import Path

import command_line


def run(*arguments, code=0, columns=80):
    return command_line.run("bench", *arguments, code=code, columns=columns)


def saved(name="out.json"):
    return json.loads(Path(name).read_text(encoding="utf-8"))


def problems_of(document):
    return list(dict.fromkeys(row["problem"].partition("/")[0] for row in document["rows"]))


BASIC = ("--shape", "5x4", "--kernel", "numpy")
