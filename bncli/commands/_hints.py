"""The option that a word was meant for that stands by itself and is no kernel."""

import os
import re
from glob import iglob

from bncli.commands import _presets
from bncli.core.layout import ALIASES, Layout
from bncli.core.problem import DTYPE_ALIASES, DTYPES
from bncli.core.source import RANDOM, distributions, source_of

SHAPE = re.compile(r"\d+(x\d+)+(/.*)?", re.ASCII)


def not_a_kernel(word: str) -> str:
    """The error for ``word``, which cannot be loaded as a kernel; empty if nothing else is known by that name."""
    option = _option(word)
    if option in ("array", "image") and not os.path.exists(word):
        return f"there is no file {word!r}"
    return f"{word!r} is no kernel: did you mean --{option} {word}?" if option else ""


def _option(word: str) -> str:
    lower = word.lower()
    known = {
        "shape": bool(SHAPE.fullmatch(word)),
        "layout": lower in (*Layout, *ALIASES),
        "dtype": lower in (*DTYPES, *DTYPE_ALIASES),
        "preset": word in _presets.shipped() or lower.endswith(".toml"),
        RANDOM: word in distributions(),
        "image": os.path.isdir(word) and any(source_of(name) == "image" for name in iglob("*", root_dir=word)),
    }
    return source_of(word) or next((option for option, fits in known.items() if fits), "")
