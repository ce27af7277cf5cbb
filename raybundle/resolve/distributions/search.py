"""Finds the installed distributions that a bundle needs, by RECORD, METADATA and imports."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from raybundle.model import Distribution, ModuleName
from raybundle.resolve.distributions.installed import PLUGINS, InstalledDistributions, normalised_name
from raybundle.resolve.distributions.modules import modules_in
from raybundle.resolve.distributions.ray import IN_RAY, extras_in_use, find_unfit
from raybundle.resolve.distributions.requirements import Need, Requirements
from raybundle.resolve.distributions.top_level import TopLevel
from raybundle.resolve.distributions.values import LazyImport, LazyUser, Needed, Unmet
from raybundle.resolve.interpreter.markers import marker_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raybundle.model import Interpreter, Provider
    from raybundle.resolve.distributions.lazy import Source
    from raybundle.resolve.distributions.top_level import Link
    from raybundle.resolve.distributions.values import Wanted

RAY = "ray"
"""Never bundled; need not be installed where the bundle is built."""

_DEV_TOOLS = frozenset({"coverage", "hypothesis", "mypy", "nose", "pip", "pytest", "ruff", "sphinx"})
"""Libraries import them for their developers; no job misses them."""
_OPENERS = frozenset({"sqlalchemy"})
"""What opens addresses for other libraries, whose users do not import it."""


def find_needed(wanted: Wanted, interpreter: Interpreter) -> Needed:
    """Returns the distributions that own the wanted modules, and all that those need."""
    installed = InstalledDistributions(interpreter.site)
    modules, unowned = _owners(wanted.third_party, installed)
    left = {name for name in modules if _can_be_left(name, modules[name], wanted, installed)}
    requirements = Requirements(installed, marker_environment(interpreter))
    walk = TopLevel(interpreter, installed, frozenset({RAY}))
    walk.follow([*wanted.third_party, *_modules(wanted.declared, installed)])
    search = _Search(wanted, requirements, walk)
    extras = extras_in_use(wanted.third_party)
    search.find([*(name for name in modules if name not in left), *wanted.declared], extras)
    editable = {name for name in search.travelling if installed.by_name[name].is_editable}
    travelling = sorted(search.travelling - editable)
    versions = {name: installed.by_name[name].version for name in travelling}
    unrecorded = {name for name in travelling if not installed.by_name[name].is_recorded}
    return Needed(
        distributions=tuple(
            search.needed(name, modules.get(name, ()))
            for name in sorted(search.needs)
            if name not in editable
        ),
        optional=tuple(search.unused(name, user) for name, user in sorted(search.optional().items())),
        plugins=tuple(search.unused(name, user) for name, user in search.plugins()),
        lazy=tuple(search.lazy({*modules, *(_OPENERS & search.needs.keys())})),
        mentioned=tuple(sorted(search.mentioned())),
        unowned=tuple(unowned),
        unrecorded=tuple(sorted(left | unrecorded)),
        editable=tuple((name, by) for name in sorted(editable) if (by := search.needs[name].by)),
        unfit=tuple(find_unfit(versions, installed, requirements.environment, extras)),
        unmet=tuple(
            Unmet(name, requirement, version)
            for name in travelling
            for other, requirement, version in requirements.unmet(name)
            if other != RAY and other not in wanted.cluster_provides
        ),
        exposed=tuple((name, other) for name in travelling for other in requirements.exposed(name)),
    )


def _owners(
    third_party: Mapping[str, str], installed: InstalledDistributions
) -> tuple[dict[str, list[str]], list[str]]:
    """Returns the imported names by owning distribution, and the names without an owner."""
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
    """Returns whether a distribution cannot be bundled, and that the job runs without it."""
    return (
        wanted.dependencies == "bundle"
        and name not in wanted.cluster_provides
        and not installed.by_name[name].is_recorded
        and wanted.optional.issuperset(modules)
    )


def _modules(names: Iterable[str], installed: InstalledDistributions) -> Iterator[str]:
    for name in names:
        yield from sorted(modules_in(installed.by_name[name].files))


@dataclass(slots=True)
class _Search:
    """Follows needs: by metadata, and by top-level imports of the modules that the job reaches."""

    wanted: Wanted
    requirements: Requirements
    walk: TopLevel
    by_ray: frozenset[str] = field(init=False)
    """Ray with its extra `default`, and all that these require."""
    needs: dict[str, Need] = field(default_factory=dict)
    travelling: frozenset[str] = frozenset()

    @property
    def installed(self) -> InstalledDistributions:
        """What is installed."""
        return self.requirements.installed

    def __post_init__(self) -> None:
        own = [(RAY, extra, Need()) for extra in ("", "default")]
        self.by_ray = frozenset(self.requirements.closed(own, {}, frozenset()))

    def find(self, roots: Iterable[str], extras: Iterable[str]) -> None:
        """Finds what `roots` and the extras of Ray need, and what of it is bundled.

        If only a distribution that the cluster provides needs another one, the cluster provides that too: it
        has both in versions that fit together. The same is true for Ray.
        """
        provided = frozenset(self.wanted.cluster_provides)
        wanted = [(name, "", Need()) for name in roots]
        needs = self._closed(wanted, provided | {RAY})
        asked = [
            (name, inner, Need(f"{RAY}[{extra}]"))
            for extra in sorted(extras if RAY in self.by_ray else ())
            for name, inner in self.requirements.of(RAY, extra)
        ]
        links = self._undeclared({RAY: Need()}, frozenset())
        asked += [(link.imported, "", Need(RAY, link.module)) for link in links]
        asked = [each for each in asked if each[0] not in self.by_ray | IN_RAY]
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
        """Returns what `wanted` needs, including imports that no metadata declares."""
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
            own = importer == RAY and imported in IN_RAY  # an installed one shadows what Ray brings
            if importer in needs and importer not in stops and imported not in needs and not own:
                link = next(filter(self.walk.is_unconditional, links), None)
                if link is not None:
                    yield link

    def provider(self, name: str) -> Provider:
        """Returns who brings a distribution to the nodes."""
        if name in self.travelling:
            return "bundle"
        return "ray" if name in self.by_ray else "cluster"

    def optional(self) -> dict[str, str]:
        """Returns what is installed but not needed, by name, and the distribution that can use it."""
        users: dict[str, str] = {}
        for user in sorted(self.needs, key=lambda name: (self.needs[name].by, name)):
            if self.provider(user) != "ray":
                for name, extra in self.requirements.optional(user):
                    if name in self.installed.by_name and name not in self.by_ray:
                        users.setdefault(name, f"{user}[{extra}]")
        return {name: user for name, user in users.items() if name not in self.needs}

    def mentioned(self) -> frozenset[str]:
        """Returns the installed distributions that modules import in inner blocks, and that nothing needs."""
        return frozenset(name for name, _, _ in self.walk.mentioned() if self._stays(name))

    def _stays(self, name: str) -> bool:
        """Returns whether a job may miss a distribution, or the owner of a module (empty if none has it)."""
        known = self.needs.keys() | self.by_ray | _DEV_TOOLS | IN_RAY | {"", RAY}
        return name not in known and name not in self.wanted.cluster_provides

    def lazy(self, users: Iterable[str]) -> Iterator[LazyUser]:
        """Yields the directly imported distributions that can use what stays when they are called."""
        mentioned: dict[str, tuple[str, set[str]]] = {}
        for name, module, files in sorted(self.walk.mentioned()):
            if self._stays(name):
                mentioned.setdefault(name, (module, set()))[1].update(files)
        sources: dict[str, Source] = {}
        for user in sorted(users) if self.wanted.dependencies == "bundle" else ():
            extras, files = self._unused_extras(user), self.walk.files.get(user, [])
            imports = []
            for name in sorted({*mentioned, *extras}):
                module, importing = mentioned.get(name) or (_module_of(self.installed, name), set())
                names = self._importing(module, importing.intersection(files), sources)
                if module and (names or name in extras):
                    version = self.installed.by_name[name].version
                    imports.append(LazyImport(name, version, module, names, extras.get(name, ())))
            if imports:
                yield LazyUser(user, tuple(files), tuple(imports))

    def _importing(self, module: str, files: Iterable[str], sources: dict[str, Source]) -> tuple[str, ...]:
        """Returns the public names of definitions that import a module; `sources` keeps what is parsed."""
        names: set[str] = set()
        for file in files:
            from raybundle.resolve.distributions.lazy import Source  # noqa: PLC0415 - many jobs need none

            source = sources.get(file) or sources.setdefault(file, Source(self.walk.texts[file]))
            names.update(head.name for head in source.importing(module) if not head.name.startswith("_"))
        return tuple(sorted(names))

    def _unused_extras(self, user: str) -> dict[str, tuple[str, ...]]:
        """Returns by installed distribution the extras that name it, without those that travel in part."""
        extras = [each for each in self.requirements.optional(user) if each[0] in self.installed.by_name]
        in_use = {extra for name, extra in extras if not self._stays(name)}
        unused: dict[str, tuple[str, ...]] = {}
        for name, extra in extras:
            if extra not in in_use:
                unused[name] = (*unused.get(name, ()), extra)
        return unused

    def needed(self, name: str, modules: Iterable[str]) -> Distribution:
        """Returns a distribution that is needed; first-party code imports `modules` of it."""
        found, need, provider = self.installed.by_name[name], self.needs[name], self.provider(name)
        return replace(
            self.unused(name, need.by),
            provided_by=provider,
            modules=tuple(map(ModuleName, modules)),
            metadata=found.directory if provider == "bundle" else None,
            imported_by=need.module,
        )

    def unused(self, name: str, user: str) -> Distribution:
        """Returns a distribution that does not travel, and what would use it."""
        found = self.installed.by_name[name]
        origin = found.origin().url
        return Distribution(name, found.version, "bundle", found.size(), required_by=user, origin=origin)

    def plugins(self) -> Iterator[tuple[str, str]]:
        """Yields each plugin of a needed distribution, and the group of its entry points or its namespace.

        A group begins with the name of the distribution that loads it: `sqlalchemy.dialects`. A namespace has
        the name of the module that loads it, and ends with `_plugins`.
        """
        users = [name for name in sorted(self.needs) if self.provider(name) != "ray"]
        spaces = dict(self._spaces(users))
        for name, found in sorted(self.installed.by_name.items()):
            if name not in self.needs and name not in self.by_ray and not found.is_editable:
                groups = dict.fromkeys(each.group for each in found.entry_points())
                by_group = ((user, group) for group in groups for user in users if _is_for(group, user))
                in_space = ((user, space) for space, user in spaces.items() if found.has_folder(space))
                plugin = next(by_group, None) or next(in_space, None)
                if plugin is not None:
                    yield name, "{} ({})".format(*plugin)

    def _spaces(self, users: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yields the namespaces of plugins that are installed, each with the distribution that loads it."""
        installed = self.installed.folders(PLUGINS)
        if installed:
            for user in users:
                space = _module_of(self.installed, user) + PLUGINS
                if space in installed:
                    yield space, user


def _module_of(installed: InstalledDistributions, name: str) -> str:
    """Returns the top-level name of a distribution: its own, if it has a module of that name."""
    tops = sorted({each.partition(".")[0] for each in modules_in(installed.by_name[name].files)})
    own = [each for each in tops if normalised_name(each) == name]
    return next(iter([*own, *tops]), "")


def _is_for(group: str, user: str) -> bool:
    return f"{normalised_name(group)}-".startswith(f"{user}-")
