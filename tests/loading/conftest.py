"""What tests of loading share."""

import sys

import pytest

from bncli import plugins
from bncli.loading import imports
from user_files import write


@pytest.fixture
def _in_an_empty_folder(tmp_path, monkeypatch):
    """In it, and nothing of what is imported from it stays."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(imports, "_user_folders", set())
    forget_published = plugins.published.cache_clear
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]
    forget_published()


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """publish("name = module:object", module=text) installs a package that publishes these."""

    def make(*points, **modules):
        home = tmp_path / "site"
        content = "\n".join(["[bncli.kernels]", *points])
        write(home / "fake-1.0.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n")
        write(home / "fake-1.0.dist-info" / "entry_points.txt", content)
        for name, text in modules.items():
            write(home / f"{name}.py", text)
        monkeypatch.syspath_prepend(home)
        plugins.published.cache_clear()

    return make
