"""Identifies the subject of `why`: a module, a prefix, a file or a distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from raybundle.explain.absence import Absence
from raybundle.explain.evidence import name_under
from raybundle.resolve.distributions.installed import normalised_name
from raybundle.resolve.distributions.known_names import module_of
from raybundle.resolve.find.finder import FirstParty, NotFound

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.model import DataFile, Distribution, Resolution
    from raybundle.resolve.find.finder import Finder

Kind = Literal["module", "prefix", "data", "distribution", "third-party", "absent"]


@dataclass(frozen=True, slots=True)
class Subject:
    """The meaning of a user's word in one resolution."""

    word: str
    kind: Kind
    names: frozenset[str] = frozenset()
    """The ends of the chains: modules of the bundle, or third-party modules that it imports."""
    data: DataFile | None = None
    distribution: Distribution | None = None
    """The distribution itself, or that of a third-party module."""


def identify(resolution: Resolution, word: str, file: Path | None) -> Subject:
    """Returns the meaning of `word`.

    Args:
        resolution: the graph.
        word: the user's word.
        file: the existing file that the word names, if any.
    """
    modules = {str(module.name) for module in resolution.modules}
    if word in modules:
        return Subject(word, "module", frozenset({word}))
    if word.endswith(("*", ".")):
        start = word.removesuffix("*")
        names = frozenset(name for name in modules if name.startswith(start) and name != "__main__")
        return Subject(word, "prefix" if names else "absent", names)
    found = _of_file(resolution, word, file) or _of_third_party(resolution, word)
    return found or Subject(_imported_as(resolution, word), "absent")


def _imported_as(resolution: Resolution, word: str) -> str:
    """Returns the module of a distribution that is not installed, if imports of it fail; else the word."""
    module = module_of(word)
    failing = {each.name.partition(".")[0] for each in (*resolution.missing, *resolution.not_found)}
    failing |= {each.name.partition(".")[0] for each in resolution.absent}
    return module if module is not None and module.partition(".")[0] in failing else word


def _of_file(resolution: Resolution, word: str, file: Path | None) -> Subject | None:
    names = {
        str(module.name)
        for module in resolution.modules
        if module.path == word or (file is not None and module.file == file)
    }
    if names:
        return Subject(word, "module", frozenset(names))
    data = next((each for each in resolution.data if each.path == word or each.file == file), None)
    if data is None:
        return None
    package = data.reason.rpartition(" ")[2]
    names = {package} & {str(module.name) for module in resolution.modules}
    return Subject(word, "data", frozenset(names), data)


def _of_third_party(resolution: Resolution, word: str) -> Subject | None:
    owned = {str(name): each for each in resolution.distributions for name in each.modules}
    if word in owned and word != normalised_name(owned[word].name):
        return Subject(word, "third-party", frozenset({word}), None, owned[word])
    name = normalised_name(word)
    for each in resolution.distributions:
        if each.name == name:
            return Subject(word, "distribution", frozenset(map(str, each.modules)), None, each)
    absent = {each.name for each in (*resolution.missing, *resolution.not_found)}
    if word not in absent and any(edge.imported == word for edge in resolution.edges):
        return Subject(word, "third-party", frozenset({word}))
    return None


def absent_file(
    resolution: Resolution, file: Path, finder: Finder, unrestricted: Resolution | None
) -> Absence:
    """Returns why a file that is not a module on the path is not in the bundle.

    Args:
        resolution: the graph without the file.
        file: absolute.
        finder: for the path of the driver.
        unrestricted: the resolution without `exclude` and with all rules, if it differs.
    """
    shadowed = next((each for each in resolution.shadowed if file in each.others), None)
    if shadowed:
        reason = f"`{shadowed.name}` is {shadowed.file}, which hides {file}"
        return Absence("shadowed", reason, "rename one of them")
    if file.suffix == ".py":
        return _not_on_path(file, finder)
    left_out = next((each for each in resolution.warnings if each.file == file), None)
    if left_out:
        return Absence("left-out", left_out.text, left_out.hint)
    if unrestricted and any(each.file == file for each in unrestricted.data):
        reason = f"{file} is left out by `exclude`, or by `rules` that switch data off"
        return Absence("excluded", reason, "see `raybundle config show`")
    return _no_package(resolution, file, finder)


def _not_on_path(file: Path, finder: Finder) -> Absence:
    _, name = name_under(str(file), finder) or ("", "")
    found = finder.find(name) if name else NotFound()
    if isinstance(found, FirstParty):
        reason = f"`{name}` is {found.file}, which hides {file}"
        return Absence("shadowed", reason, "rename one of them")
    reason = f"{file} is under no root: no import can name it"
    return Absence("not-on-path", reason, "declare its folder in `roots` of [tool.raybundle]")


def _no_package(resolution: Resolution, file: Path, finder: Finder) -> Absence:
    hint = "name it in `include` of [tool.raybundle] if the job reads it"
    _, name = name_under(str(file), finder) or ("", "")
    package = name.rpartition(".")[0]
    while package:
        found = finder.find(package)
        if isinstance(found, FirstParty) and found.is_package:
            if any(module.name == package for module in resolution.modules):
                break
            reason = (
                f"{file} is data of the package `{package}`, which nothing that the driver reaches imports"
            )
            return Absence("not-imported", reason, hint)
        package = package.rpartition(".")[0]
    reason = (
        f"{file} belongs to no package that is in: files beside modules travel only if `include` names them"
    )
    return Absence("no-package", reason, hint)
