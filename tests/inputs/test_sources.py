"""What every source of x says that it takes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bncli.inputs import array, image, random


@pytest.mark.parametrize("module", [random, image, array])
def test_sources_say_what_they_take(module: Any) -> None:
    source = module.SOURCE
    assert re.fullmatch(r"[A-Z].*\.", source.help)
    assert bool(source.choices) == source.shaped == (module is random)
    assert source.repeatable == (module is image)
