"""Refuse arrays that a disk cannot hold before they are computed."""

import shutil
from pathlib import Path

from bncli.core.units import text
from bncli.errors import InputError


def require(path: Path, needed: int) -> None:
    """Raise InputError, with both figures, if the disk of the file ``path`` has fewer than ``needed`` bytes left."""
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:  # it does not report it
        return
    if needed > free:
        raise InputError(
            f"cannot write {str(path)!r}: it takes {text(needed, 'bytes')} or more, and its disk has "
            f"{text(free, 'bytes')} left"
        )
