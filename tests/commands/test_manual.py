"""``bncli help`` shows the pages."""

import pytest

from bncli.commands import _pages
from command_line import fails, run


def test_help_lists_the_pages_with_their_titles():
    listed = run("help").stdout.partition("Pages, shown by bncli help PAGE")[2]
    assert {line.split()[0] for line in listed.splitlines() if line.startswith("  ")} == set(_pages.pages())
    assert "readme" in _pages.pages()
    assert "Check your own kernel" in listed


@pytest.mark.parametrize("page", _pages.pages())
@pytest.mark.parametrize("columns", [80, 140])
def test_every_page_is_shown_at_any_width(page, columns):
    shown = run("help", page, columns=columns).stdout
    assert _pages.title(_pages.pages()[page]) in shown
    assert max(map(len, shown.splitlines())) <= columns
    assert "](" not in shown


def test_a_link_names_the_command_that_shows_the_page_and_a_picture_is_its_words():
    text = "See [layers](../layers/README.md#modes), [below](#there), [x](https://x.org), [y](a.py).\n\n"
    picture = "![A cat](cat.png)\n"
    code = "```sh\nls [a](b/README.md)\n```\n"
    assert _pages.for_terminal(text + picture + code) == (
        "See layers (`bncli help layers`), below, [x](https://x.org), [y](a.py).\n\n*Picture: A cat*\n"
        + code.replace("sh", "text")
    )


def test_what_is_a_page_and_a_command_is_shown_as_a_page_and_a_typing_error_has_a_hint():
    assert run("help", "kernels").stdout != run("kernels", "--help").stdout
    assert "did you mean 'search'?" in fails("help", "serch")


def test_an_installed_package_has_the_top_page_in_it(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text("# top\n", encoding="utf-8")
    monkeypatch.setattr("bncli.__file__", str(tmp_path / "__init__.py"))
    assert _pages.pages() == {"readme": tmp_path / "README.md"}
