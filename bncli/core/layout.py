"""Layouts: which axes of a batch are features, and the canonical 3-D view that every kernel gets."""

from __future__ import annotations

from enum import StrEnum
from math import prod

Shape = tuple[int, ...]


class Layout(StrEnum):
    """Which axes are features; axis 0 is always the batch.

    ================  ====================  =================
    layout            shape                 canonical (N, F, S)
    ================  ====================  =================
    per-activation    (B, w, h, c)          (B, w*h*c, 1)
    channels-last     (B, h, w, c)          (B*h*w, c, 1)
    channels-first    (B, c, h, w)          (B, c, h*w)
    ================  ====================  =================
    """

    PER_ACTIVATION = "per-activation"
    CHANNELS_LAST = "channels-last"
    CHANNELS_FIRST = "channels-first"

    @classmethod
    def _missing_(cls, value: object) -> Layout | None:
        return ALIASES.get(str(value).lower())

    def canonical_shape(self, shape: Shape) -> tuple[int, int, int]:
        """The canonical (outer, feature, inner) shape of a batch of ``shape``."""
        match self:
            case Layout.PER_ACTIVATION:
                return shape[0], prod(shape[1:]), 1
            case Layout.CHANNELS_LAST:
                return prod(shape[:-1]), shape[-1], 1
            case Layout.CHANNELS_FIRST:
                return shape[0], shape[1], prod(shape[2:])

    def feature_shape(self, shape: Shape) -> Shape:
        """The shape of gamma, beta and the statistics for a batch of ``shape``."""
        match self:
            case Layout.PER_ACTIVATION:
                return shape[1:]
            case Layout.CHANNELS_LAST:
                return shape[-1:]
            case Layout.CHANNELS_FIRST:
                return shape[1:2]


# Names that frameworks have for them.
ALIASES = {"nchw": Layout.CHANNELS_FIRST, "nhwc": Layout.CHANNELS_LAST}
