"""What tests of commands share."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photo(tmp_path):
    def make(name, size=(40, 30), seed=0, mode="RGB"):
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(tmp_path / name)
        return name

    return make
