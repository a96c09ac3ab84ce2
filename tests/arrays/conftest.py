"""A framework of arrays that only these tests have."""

import sys
from pathlib import Path

import pytest

import bncli.arrays
from bncli import plugins

FOLDER = Path(__file__).parent / "frameworks"


@pytest.fixture
def card(monkeypatch, tmp_path):
    """The framework ``card``; the working directory is an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bncli.arrays, "__path__", [*bncli.arrays.__path__, str(FOLDER)])
    plugins.names.cache_clear()
    yield plugins.load("bncli.arrays", "card")
    plugins.names.cache_clear()
    del sys.modules["bncli.arrays.card"]
