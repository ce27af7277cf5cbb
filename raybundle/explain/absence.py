"""Explains why a module is not in a bundle: picks the nearest reason from the evidence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

from raybundle.dotted import with_ancestors
from raybundle.resolve.distributions.known_names import install_text
from raybundle.resolve.find.finder import FirstParty, Namespace, NotFound, StandardLibrary, ThirdParty
from raybundle.resolve.missing.absent import hint_of_absent

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from raybundle.explain.mentions import Mention
    from raybundle.model import Edge, Missing, Resolution, Unknown
    from raybundle.resolve.find.finder import Found

Why = Literal[
    "missing",
    "rule-off",
    "ignored",
    "type-checking",
    "condition",
    "optional",
    "absent",
    "unknown-name",
    "string",
    "not-imported",
    "third-party",
    "standard-library",
    "shadowed",
    "not-on-path",
    "misspelt",
    "excluded",
    "left-out",
    "no-package",
    "nowhere",
]

NEAREST = 3
"""Places and names that an explanation shows of each kind."""

_SIMILAR = 0.7
"""Least `difflib.SequenceMatcher.ratio` between names that a user may confuse."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts about a module that is not in the bundle."""

    found: Found
    """What Python would find."""
    mentions: tuple[Mention, ...] = ()
    """Places in reached files that name it, the most telling first."""
    with_all_rules: tuple[Edge, ...] = ()
    """The chain to it if all rules were on."""
    hidden: tuple[tuple[Path, str], ...] = ()
    """Files later on the path that would be it, and what Python finds before them."""
    elsewhere: tuple[tuple[str, Path], ...] = ()
    """Roots that would make a file of the project the module, relative to the project, and the file."""
    siblings: tuple[str, ...] = ()
    """Names that exist where it would be."""
    owner: tuple[str, str] | None = None
    """Name and version of its installed distribution."""


@dataclass(frozen=True, slots=True)
class Absence:
    """Why something is not in."""

    why: Why
    reason: str
    hint: str | None = None
    similar: tuple[str, ...] = ()
    """Names that the user may have meant, the likeliest first."""


def explain_absence(resolution: Resolution, name: str, evidence: Evidence) -> Absence:
    """Returns the nearest reason why the module `name` is not in the bundle."""
    similar = similar_names(name, resolution, evidence.siblings)
    failed = _imported(resolution.missing, name)
    tried = _imported(resolution.not_found, name)
    left_out = next((each for each in evidence.mentions if each.how != "string"), None)
    if failed:
        reason = f"`{name}` is imported at {_places(failed)} but was found nowhere on the path"
        return Absence("missing", reason, _how_to_find(name, resolution, evidence, similar), similar)
    if evidence.with_all_rules:
        return _switched_off(name, evidence.with_all_rules)
    if left_out:
        return _left_out(name, left_out)
    if tried:
        reason = f"`{name}` is imported at {_places(tried)}, optionally, and was found nowhere on the path"
        return Absence("optional", reason, _how_to_find(name, resolution, evidence, similar), similar)
    return _may_never_run(name, resolution, similar) or _not_imported(name, resolution, evidence, similar)


def _may_never_run(name: str, resolution: Resolution, similar: tuple[str, ...]) -> Absence | None:
    """Returns the reason for a module whose imports do not run when the driver loads."""
    group = next((each for each in resolution.absent if f"{name}.".startswith(f"{each.name}.")), None)
    if group is None:
        return None
    places = " > ".join(f"{file}:{line}" for file, line in zip(group.files, group.lines, strict=True))
    reason = f"`{group.name}` was found nowhere on the path; its imports may never run: {places}"
    return Absence("absent", reason, hint_of_absent([group.name]), similar)


def _not_imported(name: str, resolution: Resolution, evidence: Evidence, similar: tuple[str, ...]) -> Absence:
    match evidence.found:
        case StandardLibrary():
            if evidence.hidden:
                return _hidden(name, evidence.hidden[0])
            return Absence("standard-library", f"`{name}` belongs to the standard library: it never travels")
        case FirstParty(file=file):
            return _not_reached(name, file, resolution, evidence)
        case Namespace(portions=portions):
            return _not_reached(name, portions[0][1], resolution, evidence)
        case ThirdParty(file=file):
            return _unless_guessed(_not_taken(name, file, resolution, evidence), name, resolution)
        case NotFound():
            return _not_found(name, resolution, evidence, similar)


def _not_taken(name: str, file: str, resolution: Resolution, evidence: Evidence) -> Absence:
    """Returns the distribution of a module that is not bundled, its possible users, and how to bundle it."""
    if evidence.owner is None:
        reason = f"`{name}` is third-party ({file}), and nothing that the driver reaches imports it"
        return Absence("third-party", reason)
    distribution, version = evidence.owner
    known = (*resolution.optional, *resolution.plugins)
    user = next((each.required_by for each in known if each.name == distribution), "")
    reason = (
        f"`{name}` is of {distribution} {version}, which is installed but not bundled: "
        "nothing that the driver reaches imports it" + (f", though {user} could use it" if user else "")
    )
    return Absence("third-party", reason, f"name `{distribution}` in `include` if the job needs it")


def _imported(imports: Iterable[Missing], name: str) -> list[Missing]:
    return [each for each in imports if each.name == name or each.name.startswith(f"{name}.")]


def _places(places: Iterable[Missing | Mention]) -> str:
    known = list(dict.fromkeys(f"{each.file}:{each.line}" for each in places))
    more = f" and {len(known) - NEAREST} more places" if len(known) > NEAREST else ""
    return ", ".join(known[:NEAREST]) + more


def _how_to_find(name: str, resolution: Resolution, evidence: Evidence, similar: tuple[str, ...]) -> str:
    if evidence.elsewhere:
        return _declare_root(evidence)
    if similar:
        return f"did you mean `{similar[0]}`?"
    return (
        f"if it is third-party, its distribution{install_text(name)} is not installed in the environment of "
        f"{resolution.interpreter.executable}; if it is yours, add the folder that holds "
        f"`{name.partition('.')[0]}` to `roots` in [tool.raybundle]"
    )


def _declare_root(evidence: Evidence) -> str:
    roots = list(dict.fromkeys(f'"{root}"' for root, _ in evidence.elsewhere))
    return f"declare `roots = [{roots[0]}]` in [tool.raybundle]" + (
        f", or one of {', '.join(roots[1:])}" if roots[1:] else ""
    )


def _switched_off(name: str, chain: tuple[Edge, ...]) -> Absence:
    guess = next((edge for edge in reversed(chain) if edge.rule != "import"), chain[-1])
    reason = (
        f"{guess.file}:{guess.line} would take `{guess.imported}` by the rule `{guess.rule}`, which `rules` "
        f"in [tool.raybundle] switches off"
    )
    if guess.imported != name:
        reason += f"; that leads to `{name}`"
    return Absence("rule-off", reason, "switch the rule on, or name the file in `include`")


def _left_out(name: str, mention: Mention) -> Absence:
    place = f"{mention.file}:{mention.line}"
    declare = "if the job needs it when it runs, import it outside of the test, or name its file in `include`"
    match mention.how:
        case "ignored":
            reason = f"`{name}` is named at {place}, where `# raybundle: ignore` switches it off"
            return Absence("ignored", reason, "remove the comment if the job needs it")
        case "type-checking":
            reason = f"`{name}` is imported under `TYPE_CHECKING` only, at {place}: never when the job runs"
            return Absence("type-checking", reason, declare)
        case _:
            reason = (
                f"`{name}` is imported at {place} under `{mention.text}`, which does not hold on the target"
            )
            return Absence("condition", reason, declare)


def _not_reached(name: str, file: str, resolution: Resolution, evidence: Evidence) -> Absence:
    nearest = _nearest_package(name, resolution)
    reason = (
        f"`{nearest}` is in, but nothing that the driver reaches imports `{name}` ({file})"
        if nearest
        else f"nothing that the driver reaches imports `{name}` ({file})"
    )
    found = _unless_guessed(Absence("not-imported", reason), name, resolution)
    if found.why == "not-imported" and evidence.mentions:
        places = _places(evidence.mentions)
        reason += f"; only a string at {places} names it, which is not taken for an import"
        return Absence("string", reason, f"if it is one, name {file} in `include`, or trace")
    return found


def _nearest_package(name: str, resolution: Resolution) -> str:
    names = {module.name for module in resolution.modules}
    return next((each for each in reversed([*with_ancestors(name)]) if each in names), "")


def _unless_guessed(otherwise: Absence, name: str, resolution: Resolution) -> Absence:
    """Returns an import with a computed name that could be this one; else `otherwise`."""
    could = sorted(
        (each for each in resolution.unknown if _could_mean(each, name)),
        key=lambda each: (-len(each.pattern.replace("*", "")), str(each.file), each.line),
    )
    if could:
        shown = "; ".join(f"`{each.text}` at {each.file}:{each.line}" for each in could[:NEAREST])
        more = f" and {len(could) - NEAREST} more places" if len(could) > NEAREST else ""
        reason = f"{otherwise.reason}; only {shown}{more} could mean it"
        return Absence("unknown-name", reason, "if it does, name its file in `include`, or trace")
    if resolution.unknown:
        nearest = sorted(resolution.unknown, key=lambda each: _distance(each.importer, name))[:NEAREST]
        shown = ", ".join(f"{each.file}:{each.line}" for each in nearest)
        many = len(resolution.unknown)
        what = "1 place imports" if many == 1 else f"{many} places import"
        computed = (
            f"{what} what only the running job knows (nearest: {shown}): if that is it, name its file in "
            f"`include`, or trace"
        )
        hint = f"{otherwise.hint}; {computed}" if otherwise.hint else computed
        return Absence(otherwise.why, otherwise.reason, hint)
    return otherwise


def _could_mean(unknown: Unknown, name: str) -> bool:
    """Returns whether the known parts of a computed name fit; a name without known parts is no reason."""
    if not unknown.pattern.strip("*."):
        return False
    parts = map(re.escape, unknown.pattern.split("*"))
    return re.fullmatch(".*".join(parts), name) is not None


def _distance(importer: str, name: str) -> tuple[int, str]:
    """Returns a sort key that puts modules of the nearest package first."""
    pairs = zip(importer.split("."), name.split("."), strict=False)
    same = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    return (-same, importer)


def _not_found(name: str, resolution: Resolution, evidence: Evidence, similar: tuple[str, ...]) -> Absence:
    if evidence.hidden:
        return _hidden(name, evidence.hidden[0])
    if evidence.elsewhere:
        root, file = evidence.elsewhere[0]
        reason = f"`{name}` is not on the path; {file} would be it if `{root}` were a root"
        return Absence("not-on-path", reason, _declare_root(evidence), similar)
    if similar:
        reason = f"there is no `{name}` on the path or in the project"
        return Absence("misspelt", reason, f"did you mean {_or(similar)}?", similar)
    reason = (
        f"there is no `{name}` on the path or in the project, and nothing that the driver reaches imports it"
    )
    python = resolution.interpreter.executable
    hint = f"a third-party one{install_text(name)} would have to be installed for {python}"
    return _unless_guessed(Absence("nowhere", reason, hint), name, resolution)


def _hidden(name: str, hidden: tuple[Path, str]) -> Absence:
    file, taken = hidden
    reason = f"`{name}` would be {file}, but {taken} comes first on the path and hides it"
    return Absence("shadowed", reason, "rename one of them, or change the order of `roots`")


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(f"`{name}`" for name in names)


def similar_names(name: str, resolution: Resolution, siblings: Iterable[str]) -> tuple[str, ...]:
    """Returns existing names that the user may have meant, the likeliest first."""
    inside = sorted(module.name for module in resolution.modules)
    known = sorted({*inside, *siblings, *(item.name for item in resolution.distributions)} - {name})
    ends = [each for each in known if _ends_with(each, name) or ("." in each and _ends_with(name, each))]
    folded = [each for each in known if each.lower() == name.lower()]
    close = get_close_matches(
        name, [each for each in known if "." in each or "." not in name], NEAREST, _SIMILAR
    )
    return tuple(dict.fromkeys([*folded, *ends, *close]))[:NEAREST]


def _ends_with(name: str, end: str) -> bool:
    return name.endswith(f".{end}")
