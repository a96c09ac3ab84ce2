"""Environment variables with values that nobody meant."""

import os
from contextlib import contextmanager

from hypothesis import strategies as st

from bncli import numba_settings
from hostile.words import NUMBER, TEXT
from hostile.world import SMALL, run

COLUMNS = ("COLUMNS", "LINES", "TERM", "NO_COLOR", "CI", "TZ", "LANG", "LC_ALL", "HOME")
NAMES = st.sampled_from((*numba_settings.CHECKS, *COLUMNS))
VALUES = st.sampled_from(("", "0", "1", "-1", "2,1", "1e9", "many", "tbb", "tbb omp workqueue", "+avx2", "generic"))
COMMANDS = st.sampled_from(
    (
        ("kernels",),
        ("bench", "--help"),
        ("forward", *SMALL),
        ("forward", "numba", "--shape", "3x4"),
        ("gradcheck", *SMALL, "--format", "markdown"),
        ("bench", *SMALL, "--max-time", "0"),
    )
)


@contextmanager
def restored():
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def settings(draw):
    with restored():
        for _ in range(draw(st.integers(1, 2))):
            value = draw(VALUES | NUMBER.map(str) | TEXT)
            os.environ[draw(NAMES)] = value.replace("\0", "").encode(errors="replace").decode()
        run(*draw(COMMANDS))
