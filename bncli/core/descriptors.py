"""Descriptors of problems side by side."""

from collections.abc import Sequence


def parted(descriptors: Sequence[str]) -> tuple[list[str], str]:
    """Descriptors without the parts that all of several share, and these parts; the shape always stays."""
    parts = [descriptor.split("/") for descriptor in descriptors]
    if len(parts) < 2:
        return list(descriptors), ""
    shared = [part for part in parts[0][1:] if all(part in each[1:] for each in parts)]
    return ["/".join([each[0], *(p for p in each[1:] if p not in shared)]) for each in parts], "/".join(shared)
