"""The site of docs/: it builds without a warning, loads nothing from elsewhere, and has all of the source."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import raybundle
from raybundle.cli.parser import command_parsers
from tests.docs.test_messages import rows

ROOT = Path(__file__).parents[3]
LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}
"""Elements for which a browser makes a request, and where the address is."""
pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """Collects the anchors of a page, its words, and what a browser loads for it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.text = ""
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if identifier := found.get("id"):
            self.ids.append(identifier)
        if address := found.get(LOADED.get(tag, "")):
            self.loaded.append(address)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(directory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return directory


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages = {file: Page(file) for file in site.rglob("*.html")}
    styles = [style.read_text("utf-8") for style in site.rglob("*.css")]

    elsewhere = [(file.name, each) for file, page in pages.items() for each in page.loaded if "//" in each]
    assert len(pages) > 40
    assert elsewhere == []
    assert not [style for style in styles if re.search(r"url\(.?(https?:)?//|@import", style)]


def test_every_message_and_every_exit_code_has_an_anchor(site: Path) -> None:
    ids = Page(site / "messages.html").ids
    lines = {row.line for row in rows() if not row.is_note}

    assert len([each for each in ids if each.startswith("message-")]) >= len(lines)
    assert len(ids) == len({*ids})
    assert {f"exit-{code}" for row in rows() for code in row.codes} <= {*ids}
    assert "message-the-target-x-does-not-exist" in ids


def test_the_reference_has_every_command_and_every_option(site: Path) -> None:
    page = Page(site / "reference/options.html")
    actions = [action for parser in command_parsers().values() for action in parser._actions]
    shown = [action for action in actions if action.help != argparse.SUPPRESS]
    names = {name for action in shown for name in action.option_strings if name.startswith("--")}

    assert {*command_parsers()} <= {*page.ids}
    known = {"--help", "--store", "--address", "--profile", "--json", "--quiet", "--no-color"}
    assert {name for name in names - known if name not in page.text} == set()


def test_the_reference_has_every_name_of_the_library(site: Path) -> None:
    ids = Page(site / "reference/library.html").ids

    last = {each.rpartition(".")[2] for each in ids}
    assert {*raybundle.__all__} - {"__version__"} <= last
    assert "SubmitKeywords" in last
