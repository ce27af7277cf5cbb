"""`why`: why something is in the bundle, or the nearest reason why it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from raybundle.cli.output.documents import absent_document, present_document
from raybundle.cli.output.overview import ANY
from raybundle.cli.request import form_of, read_request
from raybundle.errors import BundleError, UsageError
from raybundle.explain.absence import explain_absence
from raybundle.explain.chains import driver_of, shortest_chain_to, ways_to
from raybundle.explain.dot import dot
from raybundle.explain.evidence import gather, name_under, owner_of
from raybundle.explain.reasons import requiring
from raybundle.explain.subject import Subject, absent_file, identify
from raybundle.formats.amounts import counted
from raybundle.planning import resolve_as_is
from raybundle.request import prepare
from raybundle.resolve.find.finder import FirstParty
from raybundle.resolve.resolve import finder_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence, Sized
    from pathlib import Path

    from raybundle.cli.output.console import Console
    from raybundle.explain.absence import Absence
    from raybundle.explain.chains import Chain, Ways
    from raybundle.model import Distribution, Edge, Resolution
    from raybundle.request import Prepared, Request

WIDEST = 10
"""Importers that are listed one by one; `--format json` has all."""


def explain(arguments: argparse.Namespace, console: Console) -> int:
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
    prepared = prepare(request)
    resolution = resolve_as_is(prepared)
    file = _file(word, request)
    subject = _whole(identify(resolution, word, file), resolution, request)
    if subject.kind == "absent":
        _show_absent(subject, _absence(subject, file, resolution, prepared), form, console)
        return BundleError.exit_code
    _show_present(subject, resolution, form, arguments, console)
    return 0


def _whole(subject: Subject, resolution: Resolution, request: Request) -> Subject:
    """Returns the distribution that brings a module which nothing imports, if there is one."""
    if subject.kind != "absent" or not subject.word.replace(".", "").isidentifier():
        return subject
    finder = finder_of(resolution, request.settings.items("roots"), request.cwd)
    owner = owner_of(finder.find(subject.word), finder)
    taken = next((each for each in resolution.distributions if owner and each.name == owner.name), None)
    if taken is None:
        return subject
    return Subject(subject.word, "third-party", frozenset(map(str, taken.modules)), None, taken)


def _file(word: str, request: Request) -> Path | None:
    """Returns the file that a word names, from the current directory or from the project."""
    for base in (request.cwd, request.project):
        file = base / word
        if file.is_file():
            return file.parent.resolve() / file.name
    return None


def _absence(subject: Subject, file: Path | None, resolution: Resolution, prepared: Prepared) -> Absence:
    request = prepared.request
    finder = finder_of(resolution, request.settings.items("roots"), request.cwd)
    unrestricted = _unrestricted(prepared)
    name = subject.word.rstrip("*").rstrip(".")
    if file is not None:
        _, name = name_under(str(file), finder) or ("", "")
        found = finder.find(name) if name and file.suffix == ".py" else None
        if found is None or (isinstance(found, FirstParty) and found.file != str(file)):
            return absent_file(resolution, file, finder, unrestricted)
    chain = shortest_chain_to(unrestricted, {name}) if unrestricted else ()
    return explain_absence(resolution, name, gather(resolution, name, finder, chain))


def _unrestricted(prepared: Prepared) -> Resolution | None:
    """Returns the resolution with all rules and no `exclude`; None if the settings have neither."""
    request, settings = prepared.request, prepared.request.settings
    if not settings.switched_off("rules") and not settings.items("exclude"):
        return None
    found = {key: value for key, value in settings.found.items() if key not in {"rules", "exclude"}}
    without = replace(request, settings=replace(settings, found=found))
    try:
        return resolve_as_is(replace(prepared, request=without))
    except BundleError:  # the files left out cannot travel at all
        return None


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


def _show_present(
    subject: Subject, resolution: Resolution, form: str, arguments: argparse.Namespace, console: Console
) -> None:
    users = requiring(subject.distribution, resolution) if subject.distribution else ()
    names = subject.names or frozenset(map(str, users[-1].modules if users else ()))
    chain = shortest_chain_to(resolution, names)
    ways = ways_to(resolution, names) if arguments.all else None
    match form:
        case "json":
            console.document(present_document(subject, chain, ways, users))
        case "dot":
            console.data(dot(ways.edges if ways else chain, driver_of(resolution), names))
        case _:
            for line in _lines(subject, resolution, users):
                console.data(line)
            for line in _chain_lines(chain) if ways is None else _way_lines(ways, arguments.limit):
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
