"""The pages for users wrap at 100 columns, their links lead somewhere, and the index reaches every page."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

from raybundle.cli.parser import parse

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
COLUMNS = 100
PAGES = sorted(
    chain(
        ROOT.glob("*.md"),
        DOCS.rglob("*.md"),
        (ROOT / "examples").rglob("*.md"),
        (ROOT / "templates").rglob("*.md"),
    )
)
GUIDES = [
    page for page in PAGES if DOCS in page.parents and page.parent.name != "decisions" and page != INDEX
]
"""What the index leads to, except the decisions: each opens with what its reader can do afterwards."""
FENCE = re.compile(r"^ *(`{3,}).*?^ *\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
CODE = re.compile(r"^ *(```.*?)^ *```|^    (.*?)$|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^ *(?:\$ )?raybundle (?:--(?:json|quiet) )?([a-z]+)\b", re.MULTILINE)
MENTION = re.compile(r"docs/[\w/.-]+\.md")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """Returns a page with its code blocks emptied; the lines keep their numbers."""
    return FENCE.sub(lambda block: "\n" * block[0].count("\n"), page.read_text(encoding="utf-8"))


def links(page: Path) -> list[tuple[Path, str]]:
    """Returns the file and the anchor of each relative link."""
    found = [target.partition("#") for target in LINK.findall(prose(page)) if "://" not in target]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in found]


def anchors(page: Path) -> set[str]:
    """Returns the anchors of the headings, as GitHub makes them."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(prose(page)))
    return {heading.strip().replace(" ", "-") for heading in plain}


def pages_behind(page: Path) -> set[Path]:
    """Returns the pages that a page links to; a link to a folder means the README there."""
    return {file / "README.md" if file.is_dir() else file for file, _ in links(page)}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_prose_wraps_at_100_columns(page: Path) -> None:
    lines = enumerate(prose(page).splitlines(), 1)
    long = [
        f"{name(page)}:{number}: {len(line)} columns"
        for number, line in lines
        if len(line) > COLUMNS and not line.lstrip().startswith(("|", "<"))
    ]

    assert not long, "\n".join(long)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = [
        f"{name(page)} links to {file}#{anchor}"
        for file, anchor in links(page)
        if not file.exists() or (anchor and anchor not in anchors(file))
    ]

    assert not broken, "\n".join(broken)


def test_the_index_reaches_every_page() -> None:
    reached, new = set[Path](), {INDEX}
    while new:
        reached |= new
        new = {file for page in new for file in pages_behind(page) if file in PAGES} - reached

    assert [name(page) for page in PAGES if DOCS in page.parents and page not in reached] == []


@pytest.mark.parametrize("page", GUIDES, ids=name)
def test_a_page_opens_with_what_its_reader_can_do(page: Path) -> None:
    _, opening, *_ = page.read_text(encoding="utf-8").split("\n\n")

    assert re.match(r"After this (page|tutorial),? you can ", opening), opening


def test_every_page_that_the_code_names_is_there() -> None:
    sources = chain(
        (ROOT / "raybundle").rglob("*.py"), (ROOT / "tests").glob("*/*.py"), [ROOT / "CHANGELOG.md"]
    )
    named = {
        (name(file), page)
        for file in sources
        if file != Path(__file__) and file.name != "test_named_files.py"
        for page in MENTION.findall(file.read_text(encoding="utf-8"))
    }

    assert len(named) > 5
    assert sorted((file, page) for file, page in named if not (ROOT / page).exists()) == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "decisions"], ids=name)
def test_every_command_that_a_page_shows_is_there(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = ["".join(found) for found in CODE.findall(page.read_text(encoding="utf-8"))]
    words = {word for code in codes for word in COMMAND.findall(code)}

    for word in sorted(words):
        with pytest.raises(SystemExit) as ended:
            parse([word, "--help"])
        assert ended.value.code == 0, f"raybundle {word}: {capsys.readouterr().err}"
