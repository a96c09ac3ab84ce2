"""The rows of tables."""

from collections.abc import Mapping
from typing import Any

# What tells rows apart, and what is meant where a row does not say: before there was a choice,
# outputs were fresh, caches warm, and the threads a kernel's own.
IDENTITY: Mapping[str, Any] = {
    "problem": None,
    "input": "",
    "kernel": None,
    "direction": None,
    "outputs": "fresh",
    "threads": None,
    "cache": "warm",
}
