from __future__ import annotations

import random
from pathlib import Path

from raybundle.explain.dominators import held_by_each, immediate_dominators, passed_by_all
from raybundle.explain.sizes import by_package, by_root, widenings
from raybundle.model import ArchivePath, DataFile, Root, RootSymbol
from tests.support.graphs import PROJECT, edge, graph

GUESSED = graph(
    "__main__ > app",
    edge("app > steps", "prefix", 31),
    edge("app > steps.one", "prefix", 31),
    edge("app > steps.two", "prefix", 31),
    "steps.one > deep",
    "deep > deeper",
    "__main__ > steps.two",
)
SIZES = {ArchivePath(module.path or ""): 10 for module in GUESSED.modules}


def test_a_widening_says_what_it_took_and_what_is_in_only_by_it() -> None:
    (found,) = widenings(GUESSED, SIZES)

    assert (found.file, found.line, found.rule, found.prefix) == (PROJECT / "app.py", 31, "prefix", "steps.")
    assert found.took == ("steps.one", "steps.two")
    assert (found.alone, found.alone_bytes) == (4, 40)  # steps, steps.one, deep, deeper


def test_the_widening_that_brings_most_comes_first() -> None:
    one, other = edge("__main__ > a", "string", 1), edge("__main__ > b", "walk", 2)

    found = widenings(graph(one, other, "b > c"), {ArchivePath("project/c.py"): 5})

    assert [(each.rule, each.prefix, each.alone) for each in found] == [("walk", "b", 2), ("string", "a", 1)]


def test_sure_imports_are_no_widening() -> None:
    assert (
        widenings(graph("__main__ > a", edge("a > b", "import-module"), edge("a > c", "include")), {}) == ()
    )


def test_roots_and_packages_add_up_to_the_bundle() -> None:
    data = DataFile(
        PROJECT / "steps/words.txt", ArchivePath("project/steps/words.txt"), "data of package steps"
    )
    loose = DataFile(PROJECT / "notes.txt", ArchivePath("project/notes.txt"), "include notes.txt")
    elsewhere = DataFile(Path("/other/x"), ArchivePath("root-1/x"), "include x")
    resolution = graph(*GUESSED.edges, data=(data, loose, elsewhere))
    sizes = {**SIZES, data.path: 100, loose.path: 7, elsewhere.path: 1}

    packages = by_package(resolution, sizes)

    assert [(each.name, each.root, each.modules, each.data, each.bytes) for each in packages] == [
        ("steps", "project:.", 3, 1, 130),
        ("__main__", "project:.", 1, 0, 10),
        ("app", "project:.", 1, 0, 10),
        ("deep", "project:.", 1, 0, 10),
        ("deeper", "project:.", 1, 0, 10),
        ("", "project:.", 0, 1, 7),
        ("", "", 0, 1, 1),
    ]
    assert sum(each.bytes for each in by_root(resolution, sizes)) == sum(sizes.values())


def test_data_counts_for_the_innermost_root() -> None:
    inner = Root(RootSymbol("project:lib"), PROJECT / "lib")
    data = DataFile(
        PROJECT / "lib/steps/x.txt", ArchivePath("project/lib/steps/x.txt"), "data of package steps"
    )

    found = by_root(graph("__main__ > steps", data=(data,), roots=(*GUESSED.roots, inner)), {})

    assert [(each.root, each.modules, each.data) for each in found] == [
        ("project:.", 2, 0),
        ("project:lib", 0, 1),
    ]


def test_what_every_way_passes_is_what_cuts_it_off() -> None:
    chance = random.Random(5)  # noqa: S311 - graphs, not secrets
    for _ in range(60):
        nodes = range(9)
        successors = {one: {chance.randrange(9) for _ in range(chance.randrange(4))} for one in nodes}
        above = immediate_dominators(0, successors)

        assert set(above) == reached(successors, without=None)
        for node in above:
            expected = {cut for cut in above if cut != node and node not in reached(successors, without=cut)}
            assert set(passed_by_all(node, above)) == expected


def reached(successors: dict[int, set[int]], without: int | None) -> set[int]:
    found, queue = set[int](), [0]
    while queue:
        node = queue.pop()
        if node != without and node not in found:
            found.add(node)
            queue += successors[node]
    return found


def test_a_node_holds_what_is_reached_only_through_it() -> None:
    successors = {"a": {"b", "c"}, "b": {"d"}, "c": {"d", "e"}, "d": {"a"}}

    held = held_by_each("a", successors, dict.fromkeys("abcde", (1, 2)))

    assert held == {"a": (5, 10), "b": (1, 2), "c": (2, 4), "d": (1, 2), "e": (1, 2)}
