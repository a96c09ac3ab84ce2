"""Runs on Dask workers, and their problem."""

from click.testing import CliRunner

from bncli.cli import main
from bncli.core.problem import Problem

PROBLEM = Problem.parse("37x6x5x4/channels-first/float32/eps=1e-05")  # 8 blocks: the tree has two levels
LIMIT = 512 << 20


def cli(*words):
    return CliRunner().invoke(main, list(map(str, words)), env={"COLUMNS": "200"})
