"""Name what a file is that is neither an array nor an image, and how it becomes one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

READ = 1024  # bytes that show what a file is
USER_BLOCK = 512  # bytes before the signature of HDF5 in files of MATLAB


class _Kind(NamedTuple):
    """``is_one`` matches the first bytes; ``hint`` may name the file as {old!r}, and as {new!r} with .npy."""

    is_one: re.Pattern[bytes]
    hint: str


def _kind(pattern: bytes, hint: str) -> _Kind:
    return _Kind(re.compile(pattern, re.DOTALL | re.IGNORECASE), hint)


H5PY = "import h5py, numpy; numpy.save({new!r}, h5py.File({old!r})['x'][()])"
SCIPY = "import numpy, scipy.io; numpy.save({new!r}, scipy.io.loadmat({old!r})['x'])"
TORCH = (
    "import numpy, torch; "
    "numpy.save({new!r}, torch.load({old!r}, map_location='cpu', weights_only=True).numpy(force=True))"
)
KINDS = (
    _kind(rb"version https://git-lfs\.github\.com/", "it is a Git LFS pointer, not the file itself: run git lfs pull"),
    _kind(
        rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<(!doctype html|html|head)\b",
        "it is an HTML page: the download gave a page of the site; download the file itself",
    ),
    _kind(rb"(.{%d})?\x89HDF\r\n\x1a\n" % USER_BLOCK, f"it is HDF5; convert its array x in Python: {H5PY}"),
    _kind(rb"MATLAB 5\.0 MAT-file", f"it is of MATLAB; convert its array x in Python: {SCIPY}"),
    # A zip of PyTorch has its pickle first, and a pickle of older versions begins with a number of their own.
    _kind(
        rb"PK\x03\x04.{26}[^/]+/(data\.pkl|\.format_version|\.data/)|\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19",
        f"it is of PyTorch; convert its tensor in Python: {TORCH}",
    ),
    _kind(rb"\x80[\x02-\x05]", "it is a pickle, which could run code and is never loaded; save it with numpy.save"),
    _kind(rb"\x1f\x8b", "it is compressed by gzip; unpack it first: gunzip {old!r}"),
    _kind(rb"PAR1", "it is Parquet, which holds tables; save its columns with numpy.save"),
)


def explained(head: bytes, path: Path) -> str:
    """What the file at ``path`` is by its first bytes, and the hint; empty for what is none of ``KINDS``."""
    names = {"old": str(path), "new": str(path.with_suffix(".npy"))}
    return next((kind.hint.format(**names) for kind in KINDS if kind.is_one.match(head[:READ])), "")
