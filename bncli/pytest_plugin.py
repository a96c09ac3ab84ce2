"""A fixture for tests of a user's own: ``def test_bn(bncli): bncli.verify(MyBN).raise_if_failed()``."""

from types import ModuleType

import pytest


@pytest.fixture(name="bncli")
def _bncli() -> ModuleType:
    """The library: its gradcheck, verify and bench take a kernel in any form, an object among them."""
    import bncli

    return bncli
