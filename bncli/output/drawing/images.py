"""A batch of any layout as images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.layout import Layout
from bncli.core.problem import Problem
from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

CHANNELS = 1, 3  # grey, and red, green and blue


def images(problem: Problem, array: Array) -> Array:
    """A canonical (N, F, S) ``array`` as (B, height, width, channels).

    Raises InputError where the problem's shape is not that of images.
    """
    own = problem.own(array)
    if own.ndim == 4 and problem.layout == Layout.CHANNELS_FIRST:
        own = own.transpose(0, 2, 3, 1)
    if own.ndim != 4 or own.shape[3] not in CHANNELS:
        axes = "BxCxHxW" if problem.layout == Layout.CHANNELS_FIRST else "BxHxWxC"
        raise InputError(f"{problem} holds no images: pictures need --image, or {axes} with 1 or 3 channels C")
    return own


def feature_image(problem: Problem, values: Array) -> Array:
    """(F,) ``values`` as one image (height, width, channels); of one colour, if the features are the channels."""
    image = images(problem, np.broadcast_to(values[:, None], problem.canonical_shape))[0]
    return np.asarray(image)
