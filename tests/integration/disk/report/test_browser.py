"""`report` in a real browser: search, why, zoom and dark mode by keyboard and mouse; no request, no fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import raybundle
from tests.support.browser import Tab, browser_tab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

CELLS = "document.querySelectorAll('#treemap svg .mark-rect path').length"
NODES = "document.querySelectorAll('#graph svg .mark-rect path').length"
CRUMBS = "document.getElementById('size-crumbs').innerText"
ANSWER = "document.getElementById('why-answer').innerText"
CHAIN = "[...document.querySelectorAll('#chain button')].map(each => each.innerText)"
PAPER = "getComputedStyle(document.body).backgroundColor"
TREEMAP_CELL = "[...document.querySelectorAll('#treemap svg .mark-rect')].pop().querySelector('path')"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser_tab(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def page(project: Path, tab: Tab) -> Iterator[Path]:
    """A page that is open and drawn. Whatever a test did with it, it asked for nothing and had no fault."""
    file = raybundle.report("job.py", "out.html").file
    tab.requests.clear()
    tab.open(file)
    tab.wait_for(f"{CELLS} > 2 && {NODES} > 2")

    yield file

    assert tab.value("document.title") == "job.py · raybundle"
    assert tab.requests == [file.as_uri()]
    assert tab.faults == []
    assert project.is_dir()


@pytest.mark.usefixtures("page")
def test_a_search_by_keyboard_explains_a_module(tab: Tab) -> None:
    tab.press("/")
    tab.press(*"deepest", "Enter")

    assert tab.value(CHAIN) == ["job.py (__main__)", "shop.models", "shop.deep.er.deepest"]
    assert "shop/models.py:2 imports it, and nothing else does" in tab.value(ANSWER)


@pytest.mark.usefixtures("page")
def test_a_search_without_a_match_says_so(tab: Tab) -> None:
    tab.press("/", *"nowhere")

    assert "Nothing in the bundle" in tab.value("document.getElementById('found').innerText")


@pytest.mark.usefixtures("page")
def test_a_distribution_is_found_and_explained(tab: Tab) -> None:
    tab.press("/", *"packaging")
    tab.click("document.querySelector('#found li:last-child')")

    assert "packaging" in tab.value("document.getElementById('why-name').innerText")


@pytest.mark.usefixtures("page")
def test_a_click_on_the_chain_goes_to_that_module(tab: Tab) -> None:
    tab.press("/", *"deepest", "Enter")
    tab.click("document.querySelectorAll('#chain button')[1]")

    tab.wait_for(f"{ANSWER}.startsWith('shop.models is in because job.py:2 imports it')")
    assert "Without it the bundle would have 3 modules" in tab.value(ANSWER)


@pytest.mark.usefixtures("page")
def test_the_treemap_is_opened_by_mouse_and_left_by_keyboard(tab: Tab) -> None:
    before = tab.value(CRUMBS)

    tab.click(TREEMAP_CELL)
    tab.wait_for(f"{CRUMBS} !== {before!r}")
    tab.press("Escape")

    assert tab.value(CRUMBS) == before


@pytest.mark.usefixtures("page")
def test_the_list_opens_a_folder_by_keyboard_and_keeps_the_focus(tab: Tab) -> None:
    tab.value("document.querySelector('#size-list button').focus()")
    opened = tab.value("document.activeElement.querySelector('.name').title")

    tab.press("Enter")
    assert opened in tab.value(CRUMBS)
    tab.press("Escape")

    assert tab.value("document.activeElement.querySelector('.name').title") == opened


@pytest.mark.usefixtures("page")
def test_dark_and_light_are_a_key_away_and_follow_the_system_at_first(tab: Tab) -> None:
    light = tab.value(PAPER)

    tab.press("d")
    dark = tab.value(PAPER)
    tab.press("d")

    assert (light, tab.value(PAPER)) == ("rgb(252, 252, 250)", light)
    assert dark == "rgb(20, 23, 26)"


def test_a_dark_system_and_a_narrow_screen_need_no_sideways_scrolling(page: Path, tab: Tab) -> None:
    tab.requests.clear()
    tab.open(page, width=400, height=800, dark=True)
    tab.wait_for(f"{CELLS} > 2")

    assert tab.value(PAPER) == "rgb(20, 23, 26)"
    assert tab.value("document.documentElement.scrollWidth") == 400


def test_the_page_is_printed(page: Path, tab: Tab) -> None:
    file = page.with_suffix(".pdf")

    tab.pdf(file)

    assert file.read_bytes().startswith(b"%PDF")
