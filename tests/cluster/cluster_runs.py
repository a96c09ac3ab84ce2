"""Runs on Dask workers, and their problem."""

from bncli.core.problem import Problem
from command_line import invoke

PROBLEM = Problem.parse("37x6x5x4/channels-first/float32/eps=1e-05")  # 8 blocks: the tree has two levels
LIMIT = 512 << 20


def cli(*words):
    return invoke(*words, columns=200)
