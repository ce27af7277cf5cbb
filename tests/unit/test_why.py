from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

import pytest

from raybundle.explain.chains import Ways, shortest_chain_to, ways_to
from raybundle.explain.dot import dot
from tests.support.graphs import edge, graph

DIAMOND = graph("__main__ > a", "__main__ > b", "a > c", "b > c", "c > d", "d > a", "c > e")


def names(ways: Ways) -> list[str]:
    return [" ".join([*(each.importer for each in chain), chain[-1].imported]) for chain in ways.chains]


def test_all_chains_are_shown_the_shortest_first_and_no_module_twice_in_one() -> None:
    ways = ways_to(graph("__main__ > a", "a > b", "b > a", "b > c", "a > c", "__main__ > c"), {"c"})

    assert names(ways) == ["__main__ c", "__main__ a c", "__main__ a b c"]
    assert ways.complete


def test_the_chains_are_all_simple_paths_that_there_are() -> None:
    nodes = ["__main__", "a", "b", "c", "d", "e"]
    left_out = {"__main__ > e", "a > e", "b > d", "c > a"}
    edges = {f"{one} > {other}" for one, other in permutations(nodes, 2)} - left_out
    expected = {
        " ".join(("__main__", *between, "e"))
        for length in range(5)
        for between in permutations(nodes[1:-1], length)
        if all(f"{one} > {other}" in edges for one, other in pairwise(("__main__", *between, "e")))
    }

    found = names(ways_to(graph(*edges), {"e"}))

    assert len(expected) > 10
    assert sorted(found) == sorted(expected)
    assert [len(each.split()) for each in found] == sorted(len(each.split()) for each in found)


def test_what_leads_nowhere_is_no_part_of_the_way() -> None:
    ways = ways_to(DIAMOND, {"d"})

    assert {(each.importer, each.imported) for each in ways.edges} == {
        *(("__main__", "a"), ("__main__", "b"), ("a", "c"), ("b", "c"), ("c", "d")),
    }


@pytest.mark.parametrize(
    ("edges", "back"),
    [
        ("__main__ > a, a > b, a > c, b > t, c > t, b > a", "b > a"),
        ("__main__ > b, __main__ > a, a > b, b > t, b > a", "b > a"),
    ],
)
def test_an_import_that_only_leads_back_is_no_part_of_the_way(edges: str, back: str) -> None:
    ways = ways_to(graph(*edges.split(", ")), {"t"})

    assert {f"{each.importer} > {each.imported}" for each in ways.edges} == {*edges.split(", ")} - {back}


def test_a_module_that_no_chain_goes_around_is_a_gate() -> None:
    assert ways_to(DIAMOND, {"d"}).gates == ("c",)
    assert ways_to(DIAMOND, {"c"}).gates == ()
    assert ways_to(graph("__main__ > a", "a > b", "b > c", "c > d", "a > c"), {"d"}).gates == ("a", "c")


def test_more_chains_than_are_wanted_are_cut_and_said_to_be() -> None:
    layers = [["__main__"], *([f"{layer}{i}" for i in range(4)] for layer in "abcdefgh"), ["end"]]
    ladder = graph(*(f"{one} > {two}" for here, there in pairwise(layers) for one in here for two in there))

    ways = ways_to(ladder, {"end"}, wanted=50)

    assert (len(set(names(ways))), ways.complete) == (50, False)
    assert len(ways.edges) == 4 + 7 * 16 + 4


def test_a_chain_ends_at_the_first_of_several_modules() -> None:
    ways = ways_to(graph("__main__ > p.a", "p.a > p.b", "__main__ > c", "c > p.b"), {"p.a", "p.b"})

    assert names(ways) == ["__main__ p.a", "__main__ c p.b"]
    assert [each.importer for each in ways.importers] == ["__main__", "c"]


def test_of_equal_imports_a_chain_shows_the_surest() -> None:
    resolution = graph(edge("__main__ > a", "prefix", 1), edge("__main__ > a", "import", 9))

    assert [each.line for each in shortest_chain_to(resolution, {"a"})] == [9]
    assert [each.line for each in ways_to(resolution, {"a"}).chains[0]] == [9]


def test_the_driver_needs_no_chain() -> None:
    assert ways_to(DIAMOND, {"__main__"}) == Ways((), complete=True, edges=(), importers=(), gates=())
    assert ways_to(DIAMOND, {"nothing"}).chains == ()


STRING = r'"(?:[^"\\]|\\.)*"'
NODE = re.compile(rf"  (?P<name>{STRING}) \[(?P<attributes>.*)\];", re.DOTALL)
EDGE = re.compile(rf"  (?P<one>{STRING}) -> (?P<two>{STRING}) \[(?P<attributes>.*)\];", re.DOTALL)
ATTRIBUTES = re.compile(rf"[a-z]+=(?:[A-Za-z]+|{STRING})(?:, [a-z]+=(?:[A-Za-z]+|{STRING}))*", re.DOTALL)


def test_the_drawing_is_valid_dot_whatever_the_files_are_called() -> None:
    odd = replace(edge("__main__ > été.b", "prefix"), file=Path('/a "b\\'))
    head, direction, shape, *lines, end = dot([odd, edge("__main__ > c")], "__main__", {"c"}).split("\n")

    assert (head, direction, shape, end) == ("digraph imports {", "  rankdir=LR;", "  node [shape=box];", "}")
    found = [EDGE.fullmatch(line) or NODE.fullmatch(line) for line in lines]
    assert all(each and ATTRIBUTES.fullmatch(each["attributes"]) for each in found), lines
    assert [(each["one"], each["two"]) for each in found if each and "one" in each.groupdict()] == [
        ('"__main__"', '"été.b"'),
        ('"__main__"', '"c"'),
    ]
    assert 'tooltip="/a \\"b\\\\:1 (prefix)", style=dashed' in lines[2]


@pytest.mark.parametrize("rule", ["import", "attribute"])
def test_a_sure_import_is_drawn_with_a_full_line(rule: str) -> None:
    assert "dashed" not in dot([edge("__main__ > c", rule)], "__main__", {"c"})  # type: ignore[arg-type]
