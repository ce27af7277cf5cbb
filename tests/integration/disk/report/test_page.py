"""`report`: what is in the page, and that nothing in it can do what it should not."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import raybundle
from raybundle.errors import UsageError
from tests.integration.disk.report.conftest import HOSTILE
from tests.support.own_wheels import find_uv

CLONE = Path(__file__).parents[4]
CONSTRAINTS = CLONE / "scripts/constraints.txt"


class Page(HTMLParser):
    """The elements of a page, and the text of its scripts and of what people read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.shown = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - as the parser calls it
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))
        elif self._inside != "style":
            self.shown += data

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            next(text for has, text in self.scripts if has.get("id") == "data")
        )
        return found

    @property
    def policy(self) -> str:
        found = (has for tag, has in self.elements if tag == "meta" and "http-equiv" in has)
        return str(next(found)["content"])


def written(file: Path) -> Page:
    return Page(file.read_text("utf-8"))


def test_the_page_has_sizes_graph_and_path_of_the_plan(project: Path) -> None:
    planned = raybundle.plan("job.py")

    made = raybundle.report("job.py", "out.html")
    data = written(made.file).data

    assert made.file == project / "out.html"
    assert made.bundle == planned.digest
    assert made.bytes == made.file.stat().st_size
    assert data["names"][: len(data["paths"])] == [each.name for each in planned.resolution.modules]
    assert len(data["edges"]) == 4 * len(planned.resolution.edges)
    assert sum(data["sizes"]) + sum(size for _, size in data["data"]) == sum(
        each.size for each in planned.files
    )
    assert {each["name"] for each in data["distributions"]} == {
        each.name for each in planned.resolution.distributions
    }


def test_a_module_holds_what_the_bundle_would_not_have_without_it(project: Path) -> None:
    data = written(raybundle.report("job.py", "out.html").file).data
    held = dict(zip(data["names"], data["held"], strict=False))
    deepest = (project / "shop/deep/er/deepest.py").stat().st_size

    assert held["shop.models"][0] == 3  # itself, shop.deep.er and shop.deep.er.deepest
    assert held["shop.deep.er.deepest"] == [1, deepest]


@pytest.mark.usefixtures("project")
def test_text_of_the_project_stays_text() -> None:
    made = raybundle.report("job.py", "out.html")
    page = written(made.file)

    assert [tag for tag, _ in page.elements].count("script") == 3
    assert "img" not in {tag for tag, _ in page.elements}
    assert HOSTILE in page.shown
    assert HOSTILE not in made.file.read_text("utf-8")
    assert html.escape(HOSTILE) in made.file.read_text("utf-8")


@pytest.mark.usefixtures("project")
def test_the_policy_allows_the_scripts_of_the_file_and_no_request() -> None:
    page = written(raybundle.report("job.py", "out.html").file)
    hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for has, text in page.scripts
        if has.get("id") != "data"
    }
    allowed = dict(each.strip().split(" ", 1) for each in page.policy.split(";"))

    assert allowed.pop("default-src") == "'none'"
    assert set(allowed.pop("script-src").split()) == hashes
    assert allowed == {"style-src": "'unsafe-inline'", "base-uri": "'none'", "form-action": "'none'"}
    links = {"src", "href", "srcset", "action", "data", "poster"}
    refers = [has[name] for _, has in page.elements for name in links & set(has)]
    assert all(str(each).startswith("#") for each in refers)


def test_what_changed_is_in_the_page(project: Path) -> None:
    raybundle.build("job.py", name="shop")
    (project / "shop/new.py").touch()
    (project / "shop/frames.py").write_text("from shop import new\n")

    by_name = written(raybundle.report("job.py", "out.html", against="shop@1").file)
    raybundle.build("job.py", name="shop")
    stored = written(raybundle.report(None, "out.html", ref="shop@2").file)

    for page in (by_name, stored):
        assert "What changed since shop@1?" in page.shown
        assert "+shop/new.py" in page.shown
        assert "~shop/frames.py" in page.shown
    assert "__main__:2 → shop.frames:1" in by_name.shown.replace("\n", "")


def test_a_stored_bundle_has_the_same_graph_and_sizes_as_its_target(project: Path) -> None:
    target = written(raybundle.report("job.py", "out.html").file)
    stored = raybundle.build("job.py")
    for each in project.rglob("*.py"):
        each.unlink()

    page = written(raybundle.report(None, "stored.html", ref=stored.digest).file)

    assert {**page.data, "stages": []} == {**target.data, "stages": []}
    assert "Not known for a stored bundle." in page.shown


@pytest.mark.usefixtures("project")
def test_the_chain_of_the_page_is_that_of_why() -> None:
    found = raybundle.why("job.py", "shop.deep.er.deepest")
    data = written(raybundle.report("job.py", "out.html").file).data
    names, edges = data["names"], data["edges"]
    rows = {(names[edges[at]], names[edges[at + 1]], edges[at + 2]) for at in range(0, len(edges), 4)}

    assert found.chain
    assert all((each.importer, each.imported, each.line) in rows for each in found.chain)


@pytest.mark.usefixtures("project")
def test_a_call_without_a_target_says_what_to_give() -> None:
    with pytest.raises(UsageError, match="give one of them"):
        raybundle.report(None, "out.html")


def test_a_directory_is_no_file_to_write(project: Path) -> None:
    with pytest.raises(UsageError, match="is a directory"):
        raybundle.report("job.py", project)


def test_a_place_that_is_not_there_is_told_before_the_work(project: Path) -> None:
    with pytest.raises(UsageError, match="there is no directory for"):
        raybundle.report("job.py", project / "pages" / "report.html")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "raybundle", *words), capture_output=True, text=True, check=False
    )


def test_the_command_takes_options_before_and_after_the_target(project: Path) -> None:
    done = run("report", "job.py", "-o", "out.html", "--quiet")

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{project / 'out.html'}\n"
    assert run("report", "-o", "out.html", "job.py", "other.py").returncode == 2


@pytest.mark.slow
def test_without_the_extra_one_line_says_what_to_install(project: Path, tmp_path: Path) -> None:
    python = tmp_path / "bare/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    install = [find_uv(), "pip", "install", "-q", "-c", str(CONSTRAINTS), "--python", str(python), "-e"]
    subprocess.run([*install, str(CLONE)], check=True)
    words = [str(python), "-m", "raybundle", "report", "job.py", "-o", "out.html"]

    refused = subprocess.run(words, capture_output=True, text=True, check=False, cwd=project)
    hint = re.search(r"hint: pip install 'raybundle(\[report\])'", refused.stderr)
    assert (refused.returncode, hint is None) == (2, False), refused.stderr
    subprocess.run([*install, f"{CLONE}{hint[1] if hint else ''}"], check=True)
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=project)

    assert done.returncode == 0, done.stderr
    assert (project / "out.html").stat().st_size > 500_000
