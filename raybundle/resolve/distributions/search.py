"""Searches what is installed for the distributions that a bundle needs: by RECORD, METADATA and imports."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from raybundle.resolve.distributions.installed import InstalledDistributions, normalised_name
from raybundle.resolve.distributions.modules import modules_in
from raybundle.resolve.distributions.ray import extras_in_use, find_unfit
from raybundle.resolve.distributions.requirements import Need, Requirements
from raybundle.resolve.distributions.top_level import TopLevel, is_unconditional
from raybundle.resolve.interpreter.markers import marker_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raybundle.model import Interpreter
    from raybundle.resolve.distributions.top_level import Link
    from raybundle.resolve.distributions.values import Wanted

RAY = "ray"
"""Its modules need not be installed where the bundle is built, and it never travels."""

_DEV_TOOLS = frozenset({"coverage", "hypothesis", "mypy", "nose", "pip", "pytest", "ruff", "sphinx"})
"""Libraries import them in helpers of their developers; no job misses them."""


def answer_for(wanted: Wanted, interpreter: Interpreter) -> dict[str, Any]:
    """Return the fields of `Needed` as JSON has them."""
    installed = InstalledDistributions(interpreter.site)
    modules, unowned = _owners(wanted.third_party, installed)
    left = {name for name in modules if _can_be_left(name, modules[name], wanted, installed)}
    roots = [*(name for name in modules if name not in left), *wanted.declared]
    search = _Search(wanted, Requirements(installed, marker_environment(interpreter)))
    search.walk = _walked(
        interpreter, installed, [*wanted.third_party, *_modules(wanted.declared, installed)]
    )
    extras = extras_in_use(wanted.third_party)
    search.find(roots, extras)
    found = {name: installed.by_name[name] for name in search.needs}
    editable = {name for name in search.travelling if found[name].is_editable}
    travelling = {name: found[name].version for name in search.travelling if name not in editable}
    rows = _Rows(installed, modules, search)
    return {
        "distributions": [rows.row(name) for name in sorted(found) if name not in editable],
        "optional": [rows.optional(name, user) for name, user in sorted(search.optional().items())],
        "mentioned": sorted(
            set(search.walk.mentioned()) - {""} - found.keys() - search.by_ray - {RAY} - _DEV_TOOLS
        ),
        "unowned": unowned,
        "unrecorded": sorted(left | {name for name in travelling if not found[name].is_recorded}),
        "editable": [[name, search.needs[name].by] for name in sorted(editable) if search.needs[name].by],
        "unfit": [
            asdict(each)
            for each in find_unfit(travelling, installed, search.requirements.environment, extras)
        ],
        "exposed": [
            (name, other) for name in sorted(travelling) for other in search.requirements.exposed(name)
        ],
        "unmet": [
            (name, requirement, version)
            for name in sorted(travelling)
            for other, requirement, version in search.requirements.unmet(name)
            if other != RAY and other not in wanted.cluster_provides
        ],
    }


def _owners(
    third_party: Mapping[str, str], installed: InstalledDistributions
) -> tuple[dict[str, list[str]], list[str]]:
    """Return the imported names by the distribution that owns them, and those that nothing owns."""
    modules: dict[str, list[str]] = {}
    unowned = []
    for module, file in sorted(third_party.items()):
        owner = installed.owner(file)
        if owner is not None:
            modules.setdefault(owner.name, []).append(module)
        elif module.partition(".")[0] != RAY:
            unowned.append(module)
    return modules, unowned


def _can_be_left(
    name: str, modules: Iterable[str], wanted: Wanted, installed: InstalledDistributions
) -> bool:
    """Claims that a distribution cannot travel, and that the job does without it."""
    return (
        wanted.dependencies == "bundle"
        and name not in wanted.cluster_provides
        and not installed.by_name[name].is_recorded
        and wanted.optional.issuperset(modules)
    )


def _modules(names: Iterable[str], installed: InstalledDistributions) -> Iterator[str]:
    for name in names:
        yield from sorted(modules_in(installed.by_name[name].files))


def _walked(interpreter: Interpreter, installed: InstalledDistributions, names: Iterable[str]) -> TopLevel:
    walk = TopLevel(interpreter, installed, frozenset({RAY}))
    walk.follow(names)
    return walk


@dataclass(slots=True)
class _Search:
    """What needs what: by metadata, and by imports at the top level of modules that the job reaches."""

    wanted: Wanted
    requirements: Requirements
    walk: TopLevel = field(init=False)
    by_ray: frozenset[str] = field(init=False)
    """Ray with its extra `default`, and all that they require."""
    needs: dict[str, Need] = field(default_factory=dict)
    travelling: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        own = [(RAY, extra, Need()) for extra in ("", "default")]
        self.by_ray = frozenset(self.requirements.closed(own, {}, frozenset()))

    def find(self, roots: Iterable[str], extras: Iterable[str]) -> None:
        """Find what `roots` and the extras of Ray need, and what of that travels.

        What is only reached through a distribution that the cluster provides is the cluster's as well: it
        has that one installed with what it requires, in versions that go together. The same holds for Ray.
        """
        provided = frozenset(self.wanted.cluster_provides)
        wanted = [(name, "", Need()) for name in roots]
        needs = self._closed(wanted, provided | {RAY})
        asked = [
            (name, inner, Need(f"{RAY}[{extra}]"))
            for extra in sorted(extras if RAY in self.by_ray else ())
            for name, inner in self.requirements.of(RAY, extra)
            if name not in self.by_ray
        ]
        for name, need in self._closed(asked, provided | self.by_ray).items():
            if name not in self.by_ray:
                needs.setdefault(name, need)
        if self.wanted.dependencies == "bundle":
            self.travelling = frozenset(needs) - provided - {RAY}
        behind = [(name, "", needs[name]) for name in needs if name in provided]
        of_ray = [(RAY, "", needs[RAY])] if RAY in needs else []
        for each in (self._closed(behind, frozenset({RAY})), self._closed(of_ray, frozenset())):
            for name, need in each.items():
                needs.setdefault(name, need)
        self.needs = needs

    def _closed(self, wanted: list[tuple[str, str, Need]], stops: frozenset[str]) -> dict[str, Need]:
        """Return what `wanted` needs, with imports that no metadata declares, to a fixed point."""
        links: dict[str, list[tuple[str, str]]] = {}
        while True:
            needs = self.requirements.closed(wanted, links, stops)
            new = list(self._undeclared(needs, stops))
            if not new:
                return needs
            for link in new:
                links.setdefault(link.importer, []).append((link.imported, link.module))

    def _undeclared(self, needs: Mapping[str, Need], stops: frozenset[str]) -> Iterator[Link]:
        for (importer, imported), links in self.walk.links.items():
            if importer in needs and importer not in stops and imported not in needs:
                link = next(filter(is_unconditional, links), None)
                if link is not None:
                    yield link

    def provider(self, name: str) -> str:
        """Return who brings a distribution to the nodes."""
        if name in self.travelling:
            return "bundle"
        return "ray" if name in self.by_ray else "cluster"

    def optional(self) -> dict[str, str]:
        """Return what is installed and not taken, by name: the distribution that would use it, and how."""
        users = dict(self._plugins())
        for user in sorted(self.needs, key=lambda name: (self.needs[name].by, name)):
            if self.provider(user) != "ray":
                for name, extra in self.requirements.optional(user):
                    if name in self.requirements.installed.by_name and name not in self.by_ray:
                        users.setdefault(name, f"{user}[{extra}]")
        return {name: user for name, user in users.items() if name not in self.needs}

    def _plugins(self) -> Iterator[tuple[str, str]]:
        """Yield what has entry points for a distribution that is needed, and which: `sqlalchemy.dialects`.

        A group begins with the name of whom it is for; without its plugins a distribution works otherwise.
        """
        users = [name for name in sorted(self.needs) if self.provider(name) != "ray"]
        for name, found in sorted(self.requirements.installed.by_name.items()):
            if name not in self.needs and name not in self.by_ray:
                for group in dict.fromkeys(each.group for each in found.entry_points()):
                    user = next((each for each in users if _is_for(group, each)), None)
                    if user is not None and not found.is_editable:
                        yield name, f"{user} ({group})"


def _is_for(group: str, user: str) -> bool:
    return f"{normalised_name(group)}-".startswith(f"{user}-")


@dataclass(frozen=True, slots=True)
class _Rows:
    """Writes distributions as JSON has them."""

    installed: InstalledDistributions
    modules: Mapping[str, list[str]]
    search: _Search

    def row(self, name: str) -> dict[str, Any]:
        """Return a distribution that is needed."""
        provider = self.search.provider(name)
        need = self.search.needs[name]
        found = self.installed.by_name[name]
        return {
            **self._plain(name),
            "provided_by": provider,
            "modules": self.modules.get(name, []),
            "metadata": str(found.directory) if provider == "bundle" else None,
            "required_by": need.by,
            "imported_by": need.module,
        }

    def optional(self, name: str, user: str) -> dict[str, Any]:
        """Return a distribution that is not taken, with what would use it."""
        return {**self._plain(name), "provided_by": "bundle", "required_by": user}

    def _plain(self, name: str) -> dict[str, Any]:
        found = self.installed.by_name[name]
        return {"name": name, "version": found.version, "bytes": found.size(), "origin": found.origin().url}
