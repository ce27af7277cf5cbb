from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from raybundle.explain.absence import Evidence, explain_absence
from raybundle.explain.mentions import Mention, find_mentions, in_order
from raybundle.model import Missing, ModuleName, Unknown
from raybundle.resolve.find.finder import FirstParty, Namespace, NotFound, StandardLibrary, ThirdParty
from raybundle.resolve.interpreter.markers import environment_of
from tests.support.graphs import INTERPRETER, edge, graph, module

THERE = FirstParty("/project", "/project/pkg/steps/clean.py", is_package=False)
NAME = "pkg.steps.clean"
LOADER = Path("/project/loader.py")


def unknown(pattern: str, importer: str = "loader", line: int = 31) -> Unknown:
    return Unknown(ModuleName(importer), LOADER, line, 'import_module(f"…")', pattern)


def missing(name: str) -> Missing:
    return Missing(ModuleName(name), ModuleName("loader"), LOADER, 4, ModuleName(name))


@pytest.mark.parametrize("pattern", ["pkg.steps.*", "*.clean", "pkg.*.clean", "*steps*"])
def test_a_computed_name_that_could_mean_it_is_named_with_its_place(pattern: str) -> None:
    found = explain_absence(graph(unknown=(unknown("other.*"), unknown(pattern))), NAME, Evidence(THERE))

    assert found.why == "unknown-name"
    assert "loader.py:31 could mean it" in found.reason
    assert "`include`" in (found.hint or "")


@pytest.mark.parametrize("pattern", ["pkg.steps", "pkg.steps.c?ean", "kg.steps.*", "pkg.*.handlers"])
def test_a_computed_name_that_cannot_mean_it_is_no_reason(pattern: str) -> None:
    assert explain_absence(graph(unknown=(unknown(pattern),)), NAME, Evidence(THERE)).why == "not-imported"


@pytest.mark.parametrize("pattern", ["", "*", "*.*"])
def test_names_of_which_nothing_is_known_are_counted_the_nearest_first(pattern: str) -> None:
    far = [unknown(pattern, f"far{line}", line) for line in (1, 2, 3)]

    found = explain_absence(graph(unknown=(*far, unknown(pattern, "pkg.steps", 9))), NAME, Evidence(THERE))

    assert found.why == "not-imported"
    assert "4 places import what only the running job knows (nearest: /project/loader.py:9," in str(
        found.hint
    )


def test_the_nearest_package_that_is_in_is_named() -> None:
    found = explain_absence(graph("__main__ > pkg.other", "__main__ > pkg"), NAME, Evidence(THERE))

    assert found.reason.startswith(
        "`pkg` is in, but nothing that the driver reaches imports `pkg.steps.clean`"
    )


def test_what_could_not_be_found_beats_what_is_guessed() -> None:
    resolution = graph(missing=(missing("pkg.steps.clean.deep"),), unknown=(unknown("pkg.*"),))

    assert explain_absence(resolution, NAME, Evidence(NotFound())).why == "missing"


def test_an_optional_import_that_was_not_found_says_where_it_was_tried() -> None:
    found = explain_absence(graph(not_found=(missing(NAME),)), NAME, Evidence(NotFound()))

    assert (found.why, "loader.py:4, optionally" in found.reason) == ("optional", True)


def test_a_rule_that_is_switched_off_is_named_with_the_place_where_it_would_hold() -> None:
    chain = (edge("__main__ > loader"), edge("loader > pkg.steps.clean", "prefix", 31))

    found = explain_absence(graph(), NAME, Evidence(THERE, with_all_rules=chain))

    assert found.why == "rule-off"
    assert "loader.py:31 would take `pkg.steps.clean` by the rule `prefix`" in found.reason


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (StandardLibrary(), "standard-library"),
        (ThirdParty("/site", "/site/pkg/__init__.py", is_package=True), "third-party"),
        (Namespace((("/project", "/project/pkg"),)), "not-imported"),
        (NotFound(), "nowhere"),
    ],
)
def test_where_it_is_found_decides(
    found: StandardLibrary | ThirdParty | Namespace | NotFound, why: str
) -> None:
    assert explain_absence(graph(), NAME, Evidence(found)).why == why


def test_what_nobody_installed_has_the_name_by_which_pip_knows_it() -> None:
    found = explain_absence(graph(), ModuleName("sklearn.svm"), Evidence(NotFound()))

    assert found.hint is not None
    assert found.hint.startswith("a third-party one (`pip install scikit-learn`) would have to be installed ")


@pytest.mark.parametrize("found", [NotFound(), StandardLibrary()])
def test_a_file_that_another_hides_is_named_with_it(found: NotFound | StandardLibrary) -> None:
    hidden = ((Path("/project/lib/pkg/steps/clean.py"), "/project/src/pkg/__init__.py"),)

    result = explain_absence(graph(), NAME, Evidence(found, hidden=hidden))

    assert result.why == "shadowed"
    assert "/project/src/pkg/__init__.py comes first" in result.reason


def test_a_file_elsewhere_in_the_project_says_which_root_would_find_it() -> None:
    places = (("libs/one", Path("/project/libs/one/pkg/steps/clean.py")),)

    found = explain_absence(graph(), NAME, Evidence(NotFound(), elsewhere=places))

    assert (found.why, found.hint) == (
        "not-on-path",
        'declare `roots = ["libs/one"]` in [tool.raybundle]',
    )


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("pkg.step.clean", NAME),
        ("pkg.steps.claen", NAME),
        ("steps.clean", NAME),
        ("src.pkg.steps.clean", NAME),
        ("Pkg.Steps.Clean", NAME),
        ("pkgs", "pkg"),
    ],
)
def test_the_name_that_may_have_been_meant_comes_first(word: str, meant: str) -> None:
    resolution = graph("__main__ > pkg", "__main__ > pkg.steps", "__main__ > pkg.steps.clean")

    found = explain_absence(resolution, word, Evidence(NotFound()))

    assert (found.why, found.similar[0]) == ("misspelt", meant)


def mentioned(source: str, name: str = NAME, importer: str = "pkg.loader") -> list[tuple[str, int, str]]:
    environment = environment_of(INTERPRETER)
    found = in_order(find_mentions(module(importer), source.encode(), name, environment))
    return [(each.how, each.line, each.text) for each in found]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if TYPE_CHECKING:\n    from pkg.steps import clean", ("type-checking", 2, "TYPE_CHECKING")),
        (
            "if t.TYPE_CHECKING:\n  def f():\n    import pkg.steps.clean",
            ("type-checking", 3, "t.TYPE_CHECKING"),
        ),
        ("if TYPE_CHECKING:\n    from .steps import clean", ("type-checking", 2, "TYPE_CHECKING")),
        (
            "if sys.platform == 'win32':\n    import pkg.steps.clean",
            ("condition", 2, "sys.platform == 'win32'"),
        ),
        (
            "if os.name == 'posix': pass\nelse:\n    import pkg.steps.clean",
            ("condition", 3, "not (os.name == 'posix')"),
        ),
        ("if TYPE_CHECKING:\n    import pkg.steps.clean.deep", ("type-checking", 2, "TYPE_CHECKING")),
        ("import pkg.steps.clean  # raybundle: ignore", ("ignored", 1, "")),
        ("load('pkg.steps.clean')  #raybundle: ignore", ("ignored", 1, "")),
        ("load(f'pkg.steps.{x}')  # raybundle: ignore", ("ignored", 1, "")),
        ("X = 'pkg.steps.clean:run'", ("string", 1, "pkg.steps.clean:run")),
    ],
)
def test_what_names_a_module_and_does_not_import_it_is_found(
    source: str, expected: tuple[str, int, str]
) -> None:
    assert mentioned(source) == [expected]


@pytest.mark.parametrize(
    "source",
    [
        "import pkg.steps.clean",
        "if TYPE_CHECKING:\n    import pkg.steps.cleaner, clean",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import pkg.steps.clean",
        "X = 'pkg.steps.cleaner'",
        "X = 'clean'",
        "load(f'pkg.steps.{clean}')",
        "def (clean",
    ],
)
def test_what_imports_or_means_another_is_no_mention(source: str) -> None:
    assert mentioned(source) == []


def test_a_switch_says_more_than_a_string() -> None:
    source = "X = 'pkg.steps.clean'\nimport pkg.steps.clean  # raybundle: ignore"

    assert [how for how, *_ in mentioned(source)] == ["ignored", "string"]


def test_a_mention_under_type_checking_is_the_reason_even_if_the_file_is_there() -> None:
    place = Mention(ModuleName("loader"), LOADER, 7, "type-checking", "TYPE_CHECKING")

    found = explain_absence(
        replace(graph(), unknown=(unknown("pkg.*"),)), NAME, Evidence(THERE, mentions=(place,))
    )

    assert (found.why, "`TYPE_CHECKING` only, at /project/loader.py:7" in found.reason) == (
        "type-checking",
        True,
    )
