"""Fewer cases than a cross product has, where the rest of it would show nothing more."""

import itertools


def in_turn(names, problems, count=2):
    """Each name with ``count`` of the problems, and the next name with those that follow."""
    turn = itertools.cycle(problems)
    return [(name, next(turn)) for name in names for _ in range(count)]
