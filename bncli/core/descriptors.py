"""Descriptors of problems side by side."""

from collections.abc import Sequence


def parted(descriptors: Sequence[str]) -> tuple[list[str], str]:
    """Descriptors without the parts that all share, and these parts; the shape always stays."""
    parts = [descriptor.split("/") for descriptor in descriptors]
    shared = [part for part in parts[0][1:] if all(part in each[1:] for each in parts)] if parts else []
    return ["/".join([each[0], *(p for p in each[1:] if p not in shared)]) for each in parts], "/".join(shared)
