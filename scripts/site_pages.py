"""A hook of MkDocs: the pages of the site that are made from the source, and the examples."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

import raybundle
from raybundle.api import keywords
from raybundle.cli.examples import EXAMPLES
from raybundle.cli.parser import command_parsers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE_PAGES = sorted((ROOT / "examples").rglob("*.md"))
INDEX = re.compile(r"^## (.+)\n((?:(?!## ).*\n)*)", re.MULTILINE)
LISTED = re.compile(r"\]\(([\w/-]+\.md)\)")
MADE = {"Reference": ["reference/options.md", "reference/library.md"]}
ROW = re.compile(r"^\| (`+.+)$", re.MULTILINE)
SECTION = re.compile(r"^## ([\d, ]+): ", re.MULTILINE)
ANCHOR = 60
"""Characters of an anchor at most."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Makes the navigation from the index: its sections, with the pages that each lists."""
    index = (ROOT / "docs/README.md").read_text("utf-8")
    sections = [{title: LISTED.findall(body) + MADE.get(title, [])} for title, body in INDEX.findall(index)]
    examples = [file.relative_to(ROOT).as_posix() for file in EXAMPLE_PAGES]
    config.nav = [{"Overview": "README.md"}, *sections, {"Examples": examples}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the reference and the examples."""
    pages = {"reference/options.md": options(), "reference/library.md": library()}
    for file in sorted((ROOT / "examples").rglob("*.md")):
        pages[file.relative_to(ROOT).as_posix()] = file.read_text("utf-8").replace(
            "](../../docs/", "](../../"
        )
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs names them
    """Gives each message its anchor, and leads links to examples to their pages."""
    if page.file.src_uri == "messages.md":
        return with_anchors(markdown)
    return markdown.replace("](../examples/", "](examples/")


def with_anchors(text: str) -> str:
    """Returns the page of messages with an anchor for each row and each exit code."""
    known: dict[str, int] = {}

    def row(match: re.Match[str]) -> str:
        name = anchor_of(match[1])
        known[name] = known.get(name, 0) + 1
        number = f"-{known[name]}" if known[name] > 1 else ""
        return f'| <a id="{name}{number}"></a>{match[1]}'

    def section(match: re.Match[str]) -> str:
        ids = "".join(f'<a id="exit-{code.strip()}"></a>' for code in match[1].split(","))
        return f"{ids}\n\n{match[0]}"

    return SECTION.sub(section, ROW.sub(row, text))


def anchor_of(row: str) -> str:
    """Returns the anchor of a row: the words of its first message."""
    first = re.match(r"`+ ?(.+?)`+", row)
    words = re.sub(r"[^a-z0-9]+", "-", (first[1] if first else row).lower()).strip("-")
    return f"message-{words[:ANCHOR].rstrip('-')}"


def options() -> str:
    """Returns the page of all commands and options, from the parser of the command line."""
    lines = [
        "# All options",
        "",
        "After this page you can write any command line. It is made from the parser.",
        "",
    ]
    for name, parser in command_parsers().items():
        lines += [
            f"## {name}",
            "",
            parser.description or "",
            "",
            "```text",
            parser.format_usage().strip(),
            "```",
            "",
        ]
        for group in parser._action_groups:  # noqa: SLF001 - argparse does not list them elsewhere
            rows = list(option_rows(group))
            if rows and group.title != "global options":
                lines += [f"**{group.title}**", "", "| option | meaning |", "| --- | --- |", *rows, ""]
        lines += ["```text", *(f"raybundle {each}" for each in EXAMPLES[name]), "```", ""]
    return "\n".join(lines)


def option_rows(group: argparse._ArgumentGroup) -> Iterator[str]:
    for action in group._group_actions:  # noqa: SLF001 - as above
        if action.help == argparse.SUPPRESS or "--help" in action.option_strings:
            continue
        words = ", ".join(f"`{each}`" for each in spellings(action))
        cells = [each.replace("|", r"\|") for each in (words, action.help or "")]
        yield f"| {cells[0]} | {cells[1]} |"


def spellings(action: argparse.Action) -> list[str]:
    """Returns how an option or a word can be written, with what stands for its value."""
    choices = "|".join(map(str, action.choices or ()))
    value = action.metavar if isinstance(action.metavar, str) else choices or action.dest.upper()
    if not action.option_strings:
        return [value]
    return [name if action.nargs == 0 else f"{name} {value}" for name in action.option_strings]


def library() -> str:
    """Returns the page of the library: what each public name says of itself."""
    lines = ["# All functions and classes", "", "After this page you can call any of them.", ""]
    for name in raybundle.__all__:
        found = getattr(raybundle, name)
        module, qualified = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
        path = f"{module}.{qualified}" if module and qualified else getattr(found, "__name__", None)
        if name != "__version__" and path:
            lines += [f"::: {path}", ""]
    named = [name for name in vars(keywords) if name.endswith("Keywords")]
    return "\n".join([*lines, *(f"::: raybundle.api.keywords.{name}\n" for name in named)])
