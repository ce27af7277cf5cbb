from __future__ import annotations

import pytest

from raybundle.bundle.graph_document import graph_document
from raybundle.cli.output.overview import reason_text
from raybundle.explain.reasons import reasons_of, requiring
from raybundle.model import Distribution, Edge, ModuleName, Resolution
from tests.support.graphs import edge, graph


def of(*edges: Edge, origin: str = "") -> Resolution:
    """A job that imports `lib` of `mylib`, which needs others in all ways that there are."""
    modules = (ModuleName("lib"), ModuleName("lib.sub"))
    return graph(
        *edges,
        distributions=(
            Distribution("mylib", "1", "bundle", 9, modules, origin=origin),
            Distribution("required", "2", "bundle", 9, required_by="mylib"),
            Distribution("undeclared", "3", "ray", 9, required_by="required", imported_by="required.core"),
            Distribution("named", "4", "cluster", 9),
            Distribution("part", "5", "bundle", 9, required_by="ray[data]"),
        ),
    )


def words(resolution: Resolution, name: str) -> str:
    return reason_text(reasons_of(resolution)[name], resolution)


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ([edge("__main__ > lib", line=3)], "imported at job.py:3"),
        ([edge("__main__ > lib", "trace", 3)], "imported at job.py:3 while traced"),
        ([edge("__main__ > lib", "comment", 3)], "declared at job.py:3"),
        ([edge("__main__ > lib", "include", 1)], "declared in `include`"),
        ([edge("a > lib", "trace", 1), edge("b > lib.sub", "string", 2)], "imported at b.py:2"),
        ([edge("a > lib", line=1, optional=True), edge("b > lib", line=2)], "imported at b.py:2"),
        ([edge("a > lib", line=2), edge("b > lib", "string", 1)], "imported at a.py:2"),
    ],
)
def test_what_the_job_asks_for_itself_has_its_surest_place(edges: list[Edge], expected: str) -> None:
    assert words(of(*edges), "mylib") == expected


def test_what_another_distribution_needs_names_it() -> None:
    resolution = of(edge("__main__ > lib"))

    assert words(resolution, "required") == "required by mylib"
    assert words(resolution, "undeclared") == "imported by required.core of required"
    assert words(resolution, "named") == "declared in `include`"
    assert words(resolution, "part") == "required by ray[data]"


def test_requirements_lead_to_what_the_job_imports() -> None:
    resolution = of(edge("__main__ > lib"))

    assert [each.name for each in requiring(resolution.distributions[2], resolution)] == ["required", "mylib"]


@pytest.mark.parametrize(
    ("origin", "kept"),
    [
        ("git+https://host/a@c0ffee", "git+https://host/a@c0ffee"),
        ("file:///home/me/a-1-py3-none-any.whl", "file:a-1-py3-none-any.whl"),
    ],
)
def test_the_graph_says_nothing_of_this_machine(origin: str, kept: str) -> None:
    first, second, third, *_ = graph_document(of(edge("__main__ > lib"), origin=origin))["distributions"]

    assert first == {
        "name": "mylib",
        "version": "1",
        "provided_by": "bundle",
        "modules": ["lib", "lib.sub"],
        "origin": kept,
    }
    assert (second["required_by"], third["imported_by"]) == ("mylib", "required.core")
