"""`why`: why something is in the bundle, or the nearest reason why it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.cli.output.documents import absent_document, present_document
from raybundle.cli.output.overview import ANY
from raybundle.cli.request import form_of, read_request
from raybundle.errors import BundleError, UsageError
from raybundle.explain.chains import driver_of
from raybundle.explain.dot import dot
from raybundle.formats.amounts import counted
from raybundle.pipeline.reasoning import explain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence, Sized

    from raybundle.cli.output.console import Console
    from raybundle.explain.absence import Absence
    from raybundle.explain.chains import Chain, Ways
    from raybundle.explain.subject import Subject
    from raybundle.model import Distribution, Edge, Resolution
    from raybundle.pipeline.reasoning import Why

WIDEST = 10
"""Importers that are listed one by one; `--format json` has all."""


def show_why(arguments: argparse.Namespace, console: Console) -> int:
    """Shows the import chain that brings something in, or the nearest reason why it is not in."""
    form = form_of(arguments, console)
    *words, word = arguments.words
    if arguments.module_target:
        words = ["-m", *words]
    if not words:
        raise UsageError("`why` takes a target and a module")
    arguments.rest = ["--", *words] if arguments.pasted else words
    request = read_request(arguments, console)
    if request.arguments and not arguments.pasted and len(words) > 1:
        more = ", ".join(request.arguments)
        raise UsageError(f"`why` takes a target and one module, and has also {more}")
    found = explain(request, word)
    if found.absence is not None:
        _show_absent(found.subject, found.absence, form, console)
        return BundleError.exit_code
    _show_present(found, form, arguments, console)
    return 0


def _show_absent(subject: Subject, found: Absence, form: str, console: Console) -> None:
    match form:
        case "json":
            console.document(absent_document(subject, found))
        case "dot":
            raise BundleError(found.reason, hint=found.hint)
        case _:
            console.data(found.reason)
            if found.hint:
                console.data(f"hint: {found.hint}")


def _show_present(found: Why, form: str, arguments: argparse.Namespace, console: Console) -> None:
    ways = found.ways() if arguments.all else None
    match form:
        case "json":
            console.document(present_document(found, ways))
        case "dot":
            edges = ways.edges if ways else found.chain
            console.data(dot(edges, driver_of(found.resolution), found.names))
        case _:
            for line in _lines(found.subject, found.resolution, found.users):
                console.data(line)
            for line in _chain_lines(found.chain) if ways is None else _way_lines(ways, arguments.limit):
                console.data(line)


def _lines(subject: Subject, resolution: Resolution, users: tuple[Distribution, ...]) -> Iterator[str]:
    """Yields what there is to say before the chains."""
    if subject.data:
        yield f"{subject.data.path} travels: {subject.data.reason}"
    if subject.distribution:
        each = subject.distribution
        yield f"{each.name} {each.version or ANY} is needed; it comes from {_PROVIDERS[each.provided_by]}"
        if users:
            how = f"imported by {each.imported_by} of" if each.imported_by else "required by"
            yield f"{each.name} is {how} {', for '.join(other.name for other in users)}"
        elif not each.modules:
            yield f"{each.name} is declared in `include`"
    if subject.kind == "prefix":
        entering = [
            edge
            for edge in resolution.edges
            if edge.imported in subject.names and edge.importer not in subject.names
        ]
        yield f"{counted(len(subject.names), 'module')} {_are(subject.names)} in, imported from outside:"
        yield from _importer_lines(entering)
        yield "the shortest chain:"


def _chain_lines(chain: Chain) -> Iterator[str]:
    for edge in chain:
        yield f"{edge.file}:{edge.line}: {edge.importer} imports {edge.imported} ({_how(edge)})"


def _way_lines(ways: Ways, limit: int) -> Iterator[str]:
    """Yields chains, each on one line that has the number of the importing line after each importer."""
    if not ways.chains:
        return
    many = counted(len(ways.chains), "chain") if ways.complete else f"more than {len(ways.chains)} chains"
    modules = {edge.importer for edge in ways.edges} | {edge.imported for edge in ways.edges}
    yield f"{many}, over {counted(len(ways.edges), 'import')} between {counted(len(modules), 'module')}"
    if ways.gates:
        yield f"each passes {', '.join(ways.gates)}"
    yield "imported by:"
    yield from _importer_lines(ways.importers)
    yield "the chains, shortest first:" if len(ways.chains) <= limit else f"the {limit} shortest:"
    for chain in ways.chains[:limit]:
        yield "  " + " > ".join([*(_step(edge) for edge in chain), chain[-1].imported])
    if len(ways.chains) > limit:
        yield "`--limit N` shows more chains; `--format dot` draws all imports on the way, `json` lists them"


def _importer_lines(edges: Sequence[Edge]) -> Iterator[str]:
    """Yields a line for each place that imports, with what it takes."""
    places: dict[tuple[str, str, int, str], list[str]] = {}
    for edge in edges:
        places.setdefault((edge.importer, str(edge.file), edge.line, _how(edge)), []).append(edge.imported)
    for (importer, file, line, how), taken in list(places.items())[:WIDEST]:
        what = taken[0] if len(taken) == 1 else f"{len(taken)} of them"
        yield f"  {file}:{line}: {importer} imports {what} ({how})"
    if len(places) > WIDEST:
        yield f"  and {counted(len(places) - WIDEST, 'more place')}"


def _step(edge: Edge) -> str:
    return f"{edge.importer}:{edge.line}" + ("" if edge.rule == "import" else f" ({_how(edge)})")


def _how(edge: Edge) -> str:
    """Returns how an import was found, and by which rule where several are called so."""
    plain = edge.rule in {"import", "trace", edge.found_by}
    how = edge.found_by if plain else f"{edge.found_by}, {edge.rule}"
    return f"{how}, optional" if edge.optional else how


def _are(names: Sized) -> str:
    return "is" if len(names) == 1 else "are"


_PROVIDERS = {"bundle": "the bundle", "cluster": "the cluster", "ray": "the cluster, with Ray"}
