"""What one source file says about imports. Facts are frozen, and do not depend on where the file is."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from sys import intern
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.model import Deferred

Mode = Literal["", "main", "imported", "packaged", "bare"]
"""Whether `__name__` is `__main__` or not, and whether `__package__` names a package or not."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What surrounds a statement."""

    optional: bool = False
    """A failing import is caught."""
    instead_of: tuple[str, ...] = ()
    """Imports whose failure leads here (`except ImportError: import b`)."""
    only: Mode = ""
    """How the module must run for the statement to be executed."""
    deferred: Deferred = ""
    """Why it may not run when the module loads."""


PLAIN = Guard()
"""The guard of a statement that runs whenever its module loads."""


@dataclass(frozen=True, slots=True)
class Statement:
    """`import name`, `from name import members`, or a call or a pickle that imports the same."""

    name: str
    """With the leading dots of a relative import."""
    members: tuple[str, ...] = ()
    """`("*",)` for `from name import *`."""
    rule: Literal["import", "import-module", "resource", "pickle"] = "import"


@dataclass(frozen=True, slots=True)
class Attributes:
    """A chain of attributes on an imported name. Its parts may be submodules."""

    name: str
    chain: tuple[str, ...]
    rule: ClassVar[Literal["attribute"]] = "attribute"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A name with `*` for each unknown part, or any name in an `include` comment."""

    name: str
    one_level: bool = False
    """The unknown parts contain no dot."""
    rule: Literal["prefix", "comment"] = "prefix"


@dataclass(frozen=True, slots=True)
class PackageWalk:
    """A walk over the modules of a package (`pkgutil`)."""

    name: str
    deep: bool = False
    """It descends into subpackages."""
    rule: ClassVar[Literal["walk"]] = "walk"


@dataclass(frozen=True, slots=True)
class LazyNames:
    """Submodules that a package may import when one of their names is used."""

    names: tuple[str, ...]
    name: ClassVar = "."
    rule: ClassVar[Literal["lazy-table"]] = "lazy-table"


@dataclass(frozen=True, slots=True)
class LazyStub:
    """The imports of the type stub beside a package (lazy_loader's `attach_stub`)."""

    name: ClassVar = "."
    rule: ClassVar[Literal["lazy-table"]] = "lazy-table"


@dataclass(frozen=True, slots=True)
class EntryPointGroup:
    """A group of entry points that is loaded; `*` for all groups."""

    name: str
    point: str = ""
    """The one of the group that is asked for. Empty for all."""
    rule: ClassVar[Literal["entry-point"]] = "entry-point"


@dataclass(frozen=True, slots=True)
class DjangoApp:
    """An item of `INSTALLED_APPS`."""

    name: str
    has_admin: bool = False
    """Django's admin is installed too, and imports the `admin` module of each app."""
    rule: ClassVar[Literal["django-app"]] = "django-app"


@dataclass(frozen=True, slots=True)
class OfEachApp:
    """A module of this name in each app of Django (`autodiscover_tasks()`)."""

    name: str
    rule: ClassVar[Literal["django-app"]] = "django-app"


@dataclass(frozen=True, slots=True)
class ModuleText:
    """A string that may name a module or something in it (`pkg.mod:attr`, `pkg.mod.Class`)."""

    name: str
    is_listed: bool = False
    """It is an item of a settings list, whose items are modules."""
    rule: Literal["string", "config-file"] = "string"


@dataclass(frozen=True, slots=True)
class ProgramName:
    """A program that a command starts."""

    name: str
    may_be_absent: bool = False
    """The source asks for it first, or catches its absence."""
    rule: ClassVar[Literal["resource"]] = "resource"


@dataclass(frozen=True, slots=True)
class DistributionName:
    """A distribution of which the metadata or the files are asked for."""

    name: str
    rule: ClassVar[Literal["resource"]] = "resource"


Guess = Pattern | PackageWalk | LazyNames | EntryPointGroup | DjangoApp | ModuleText
"""Forms that match only modules that exist."""

Form = Statement | Attributes | LazyStub | DistributionName | ProgramName | OfEachApp | Guess
"""The ways in which a source imports."""


class Import(NamedTuple):
    """One import, as the file writes it."""

    line: int
    form: Form
    guard: Guard = PLAIN


class Exports(NamedTuple):
    """What a module names in `__all__`."""

    names: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    """Modules whose `__all__` is part of it."""
    is_computed: bool = False
    """Only the running program knows all names."""
    is_listed: bool = False
    """They depend on what is in a folder, so any submodule may be among them."""


_NO_EXPORTS = Exports()


class UnknownImport(NamedTuple):
    """An import whose name only the running program knows."""

    line: int
    text: str
    pattern: str = ""
    """The name, with `*` for each unknown part."""


class Remark(NamedTuple):
    """Something in a source that the user should know."""

    line: int
    kind: Literal[
        "runtime-env",
        "py-modules",
        "working-dir",
        "installer",
        "own-cluster",
        "comment",
        "no-effect",
        "environment",
        "beside-python",
        "distribution",
        "discovery",
    ]
    text: str
    """The field of a runtime_env, the arguments of `ray.init`, the comment, the program, or the call."""


PathStart = Literal["here", "start"]
"""Where a relative path begins: beside the source file, or in the directory where the job starts."""


ENVIRONMENT_FILE = ".env"
"""The file that `load_dotenv` looks for beside the source and in the directories above. A path `here` of this
name means that search."""


EVERYTHING = ("*?", "**/*?")
"""Forms of what a job lists, and of what it walks over: each name, and no name that is not known."""


Role = Literal["data", "cwd", "secrets", "written"]


class Named(NamedTuple):
    """A path that a source names."""

    line: int
    place: PathStart
    path: str
    """Relative and normalised. It may start with `..`, and has `*` for each unknown part."""
    wide: bool = False
    """It may also be a directory, which means its files."""
    role: Role = "data"
    """What it is for: data that is read, a directory that the job changes to, one with secrets, an output."""


class Opened(NamedTuple):
    """A call that reads a file whose name only the running program knows."""

    line: int
    text: str
    passed: bool = False
    """The name comes from a caller, an object or another module. Otherwise the source makes it up itself."""


Walks = Literal["", "flat", "deep"]
"""Whether something walks over the modules of a package, and descends into its subpackages."""


class Loader(NamedTuple):
    """A function or class that may import what its callers give it."""

    name: str
    walks: Walks = ""
    """It walks over the package that it is given."""
    lines: tuple[int, ...] = ()
    """Its imports that its callers alone decide. A method has none: nobody knows all calls of it."""


class Facts(NamedTuple):
    """Everything the walk needs to know about one source file."""

    sha256: str
    imports: tuple[Import, ...] = ()
    exports: Exports = _NO_EXPORTS
    unknown: tuple[UnknownImport, ...] = ()
    path_edits: tuple[int, ...] = ()
    """Lines that change `sys.path`."""
    remarks: tuple[Remark, ...] = ()
    configs: tuple[str, ...] = ()
    """Names of configuration files in its strings. `*.yaml` means any with that suffix."""
    installs: tuple[str, ...] = ()
    """Distributions that a literal `runtime_env` installs, normalised."""
    rewires: tuple[int, ...] = ()
    """Lines that may change `__path__` or `sys.modules`."""
    named: tuple[Named, ...] = ()
    """Paths of files that it may read."""
    opened: tuple[Opened, ...] = ()
    """Files that it reads by names that are not known."""
    loaders: tuple[Loader, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()
    """Names for what has another one elsewhere, and that: `import a.b as c`, `c = a`."""


def in_order(imports: Iterable[Import]) -> tuple[Import, ...]:
    """Returns imports by line, each once."""
    return tuple(sorted(set(imports), key=_row))


_FORMS = (
    *(Statement, Attributes, Pattern, PackageWalk, LazyNames, LazyStub, EntryPointGroup, DjangoApp),
    *(ModuleText, DistributionName, OfEachApp, ProgramName),
)
"""A stored row names its form by the position here."""
_POSITIONS = {form: position for position, form in enumerate(_FORMS)}
_SHARED = 4096
"""Forms and guards that are made once: many files import the same modules in the same way."""
_FIELDS = {kind: tuple(each.name for each in fields(kind)) for kind in (*_FORMS, Guard)}


def _values(each: Form | Guard) -> tuple[Any, ...]:
    return tuple(getattr(each, name) for name in _FIELDS[type(each)])


def _row(each: Import) -> tuple[Any, ...]:
    guard = _values(each.guard)
    return (each.line, _POSITIONS[type(each.form)], guard if any(guard) else (), *_values(each.form))


def to_json(facts: Facts) -> list[Any]:
    """Returns nested lists and strings that `from_json` turns back into the same facts."""
    return [facts.sha256, list(map(_row, facts.imports)), *facts[2:]]


def from_json(value: list[Any]) -> Facts:
    """Returns the facts that `to_json` wrote.

    Raises:
        TypeError, ValueError, IndexError: the value has another shape.
    """
    sha256, imports, exports, unknown, path_edits, remarks, configs, installs, rewires, *more = value
    named, opened, loaders, renames = more
    return Facts(
        sha256,
        tuple(_import(*each) for each in imports),
        Exports(*_frozen(exports)),
        tuple(UnknownImport(*each) for each in unknown),
        tuple(path_edits),
        tuple(Remark(*each) for each in remarks),
        tuple(configs),
        tuple(installs),
        tuple(rewires),
        tuple(Named(*each) for each in named),
        tuple(Opened(*each) for each in opened),
        tuple(Loader(name, walks, tuple(lines)) for name, walks, lines in loaders),
        tuple((name, other) for name, other in renames),
    )


def _import(line: int, position: int, guard: list[Any], *form: Any) -> Import:
    return Import(line, _form(position, *map(_shared, form)), _guard(*_frozen(guard)) if guard else PLAIN)


@lru_cache(_SHARED)
def _form(position: int, *values: Any) -> Form:
    return _FORMS[position](*values)


_guard = lru_cache(_SHARED)(Guard)


def _shared(value: Any) -> Any:
    """Returns the same text for the same name in all files."""
    if type(value) is str:
        return intern(value)
    return tuple(map(_shared, value)) if type(value) is list else value


def _frozen(values: list[Any]) -> list[Any]:
    return [tuple(each) if type(each) is list else each for each in values]
