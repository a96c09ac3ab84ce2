"""Arrays of a problem in an .npz file, which ``--array`` reads again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli import files
from bncli.core.problem import Problem
from bncli.errors import InputError

Array = NDArray[Any]


def require_savable(path: Path, problems: int) -> None:
    """Raise InputError if --save cannot write ``path``, or if there are several ``problems``."""
    if path.suffix != ".npz":
        raise InputError(f"--save {str(path)!r} would write an .npz file: give it that suffix")
    if problems > 1:
        raise InputError(f"--save writes the arrays of one problem, but there are {problems}: give one --shape")
    files.check_writable(path)


def save(path: Path, problem: Problem, arrays: Mapping[str, Array]) -> None:
    """Write ``arrays`` to an .npz file: batches, (N, F, S), in the problem's own shape, the rest flat."""
    own: dict[str, Any] = {name: problem.own(array) if array.ndim == 3 else array for name, array in arrays.items()}
    files.replace(path, lambda file: np.savez(file, **own))
