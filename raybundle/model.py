"""The values that flow from one stage to the next: frozen, and named by the words of the design."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NewType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Digest = NewType("Digest", str)
"""`sha256:` and 64 lower-case hex digits."""

ModuleName = NewType("ModuleName", str)
"""An absolute dotted module name; `__main__` for the target itself when it is a script."""

ArchivePath = NewType("ArchivePath", str)
"""A relative POSIX path in NFC that starts with its root's folder: `project/…` or `root-1/…`."""

RootSymbol = NewType("RootSymbol", str)
"""One entry of the symbolic path: `project:src`, `root:1`, `root:1:sub`, `stdlib`, `layers` or `ray`."""

FoundBy = Literal["static", "literal", "prefix", "resource", "traced", "declared"]
Rule = Literal[
    "import",
    "attribute",
    "import-module",
    "string",
    "prefix",
    "walk",
    "lazy-table",
    "config-file",
    "entry-point",
    "django-app",
    "resource",
    "comment",
    "include",
    "start-up",
    "trace",
]
"""What makes one module reach another; `rules` in [tool.raybundle] switches them by these names."""

FOUND_BY: Mapping[Rule, FoundBy] = {
    "import": "static",
    "attribute": "static",
    "import-module": "literal",
    "string": "literal",
    "prefix": "prefix",
    "walk": "prefix",
    "lazy-table": "literal",
    "config-file": "literal",
    "entry-point": "literal",
    "django-app": "prefix",
    "resource": "resource",
    "comment": "declared",
    "include": "declared",
    "start-up": "static",
    "trace": "traced",
}

Deferred = Literal["", "function", "branch"]
"""Why a statement may not run when its module loads: in a function, or under a test that nothing decides."""

WIDENING: frozenset[Rule] = frozenset(
    ["string", "prefix", "walk", "lazy-table", "config-file", "entry-point", "django-app"]
)
"""Rules that guess: what they take is shown with its place, and can be switched off."""

ModuleKind = Literal["script", "module", "package", "namespace", "extension"]


@dataclass(frozen=True, slots=True)
class ScriptTarget:
    """A script, run as `python path`."""

    path: Path
    """Absolute, in a real directory; a script that is itself a link is followed only for `sys.path[0]`."""
    options: tuple[str, ...] = ()
    """Of the interpreter, as in `python -P -W error path`: one word each, with its value (`-Werror`)."""


@dataclass(frozen=True, slots=True)
class ModuleTarget:
    """A module, run as `python -m name`."""

    name: ModuleName
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DirectoryTarget:
    """A directory that holds a `__main__.py`, run as `python path`."""

    path: Path
    """Absolute, symbolic links resolved."""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotebookTarget:
    """A notebook, whose code cells run in order as a script in its directory would."""

    path: Path
    """Absolute, symbolic links resolved."""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsoleScriptTarget:
    """A command that the project installs, run as the script that an installer makes for it."""

    name: str
    options: tuple[str, ...] = ()


Target = ScriptTarget | ModuleTarget | DirectoryTarget | NotebookTarget | ConsoleScriptTarget


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What the target interpreter says about itself; asked once, in a subprocess."""

    executable: str
    implementation: str
    """`sys.implementation.name`, such as `cpython`."""
    version: tuple[int, int, int]
    abi: str
    """`SOABI`, such as `cpython-311-x86_64-linux-gnu`."""
    platform: str
    """`sysconfig.get_platform()`, such as `linux-x86_64`, with the machine for `universal2`."""
    path: tuple[str, ...]
    """`sys.path` without a script's directory: PYTHONPATH, standard library, site-packages, `.pth` roots.

    Entries that are not there count: edits of the path give their places.
    """
    stdlib: tuple[str, ...]
    """The entries of `path` that hold the standard library."""
    site: tuple[str, ...]
    """The entries of `path` that are site-packages (or dist-packages) directories."""
    builtin_names: frozenset[str]
    stdlib_names: frozenset[str]
    suffixes: tuple[str, ...]
    """Module suffixes in the order in which Python tries them: extensions, source, byte-code."""
    editables: tuple[tuple[str, str], ...]
    """Name and location without suffix, as the finders of editable installs on `sys.meta_path` map them."""
    namespaces: tuple[tuple[str, str], ...] = ()
    """Name and directory of each portion of a namespace package that setuptools' editable finders know; the
    directory is empty where it has only mapped packages."""
    projects: tuple[tuple[str, str], ...] = ()
    """Directory and `.dist-info` of each distribution that is installed as editable (PEP 610)."""
    safe_path: bool = False
    """Neither a script's directory nor the current one is put on the path (`-P`, `-I`, PYTHONSAFEPATH)."""
    executable_differs: bool = False
    """`executable` has another minor than `version`, which is the nodes': it makes no byte-code for them."""
    installed_differ: bool = False
    """What is installed is not what travels: the nodes get distributions of their own."""


@dataclass(frozen=True, slots=True)
class Root:
    """A directory on the driver's path that holds first-party code of this bundle."""

    symbol: RootSymbol
    directory: Path
    source: str = ""
    """What says that it is a root, where neither the interpreter nor `roots` does: `pyproject.toml: …`."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One import: who, whom, where."""

    importer: ModuleName
    imported: ModuleName
    file: Path
    line: int
    rule: Rule
    optional: bool = False
    """Guarded by `try/except ImportError` or `suppress(ImportError)`."""
    deferred: Deferred = ""

    @property
    def found_by(self) -> FoundBy:
        """How the import was found."""
        return FOUND_BY[self.rule]


@dataclass(frozen=True, slots=True)
class Module:
    """A first-party module of the resolution."""

    name: ModuleName
    kind: ModuleKind
    file: Path | None
    """Absolute; None for a namespace package."""
    root: RootSymbol
    path: ArchivePath | None
    found_by: FoundBy
    sha256: str | None = None
    """Hex, of the source that was scanned: a later change is noticed by it; None if not scanned."""
    content: bytes | None = None
    """What travels in place of the bytes of `file`: code cells of a notebook, a console script."""


NAMED = " (path)"
"""How the reason of a file ends that travels because a path names it."""
TRACKED = "not ignored by git"
"""The reason of a file that travels because all data does (`data = "tracked"`)."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that travels without being a module: package data or an `include`."""

    file: Path
    path: ArchivePath
    reason: str
    """Such as `data of package pkg` or `include data/*.csv`."""
    content: bytes | None = None
    """What travels in place of the bytes of `file`: metadata reduced to what is the same everywhere."""

    @property
    def is_named(self) -> bool:
        """Whether it travels because a path in a source or an argument names it."""
        return self.reason.endswith(NAMED)


Provider = Literal["bundle", "cluster", "ray"]
"""Who brings a distribution to the nodes: a layer of the bundle, what is installed there, or Ray."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed third-party project that the job needs."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    provided_by: Provider
    bytes: int
    """Size of its installed files as RECORD lists them."""
    modules: tuple[ModuleName, ...] = ()
    """The modules by which first-party code needs it; empty when only another distribution requires it."""
    metadata: Path | None = None
    """Its `.dist-info` directory, absolute, if it travels; the directory above holds its files."""
    required_by: str = ""
    """The distribution that needs it, such as `pandas` or `ray[data]`, where first-party code does not import
    it; of one that is not taken, which could use it: `pandas[parquet]`."""
    imported_by: str = ""
    """The module of `required_by` that imports it at its top level; empty where metadata requires it."""
    origin: str = ""
    """Where it was installed from, if not from an index, without credentials; with `@commit` if known."""


@dataclass(frozen=True, slots=True)
class Missing:
    """An import that resolves nowhere."""

    name: ModuleName
    importer: ModuleName
    file: Path
    line: int
    absent: ModuleName
    """What is not there: the highest package of `name` that is absent, or itself."""


AbsentKind = Literal["function", "optional", "guessed"]
"""Where the way to an import that may never run leads through, the likeliest to run first."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Imports under one name that resolve nowhere, and that loading the driver does not run."""

    name: str
    """What is not there: the top-level name, or what the places share below a package that is there."""
    kind: AbsentKind
    count: int
    """Places that import it in this way."""
    files: tuple[Path, ...]
    """The shortest chain from the driver: the last of its places has the import."""
    lines: tuple[str, ...]
    """The line in each of `files`."""
    names: tuple[str, ...]
    """The modules below `name`, or itself, that the places import."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """An import whose name only the running program knows."""

    importer: ModuleName
    file: Path
    line: int
    text: str
    """The expression, as the file has it."""
    pattern: str = ""
    """What is known of the name, absolute, with `*` for each part that is not: `pkg.*.handlers`."""


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A module of which the path holds more than one; Python takes `file`."""

    name: ModuleName
    file: Path
    others: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 - the design's word
    """What cannot be known or looks wrong, with its place and what settles it."""

    text: str
    file: Path | None = None
    line: int | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """The effective import graph of a target, and the path on which it holds."""

    target: Target
    project: Path
    interpreter: Interpreter
    path: tuple[RootSymbol, ...]
    """Ordered; only roots that hold something of the bundle; `stdlib`, `layers` and `ray` in their places."""
    roots: tuple[Root, ...]
    modules: tuple[Module, ...]
    """Sorted by name."""
    edges: tuple[Edge, ...]
    data: tuple[DataFile, ...]
    distributions: tuple[Distribution, ...]
    missing: tuple[Missing, ...]
    """Imports that resolve nowhere, and run while modules load from the driver."""
    warnings: tuple[Warning, ...]
    not_found: tuple[Missing, ...] = ()
    """Optional imports that resolve nowhere, and those that a setting or a run has settled."""
    absent: tuple[Absent, ...] = ()
    """The other imports that resolve nowhere: they may never run."""
    unknown: tuple[Unknown, ...] = ()
    shadowed: tuple[Shadowed, ...] = ()
    not_imported: tuple[ModuleName, ...] | None = None
    """Found by statements and imported in no traced run; None if no run is known."""
    optional: tuple[Distribution, ...] = ()
    """Installed and not taken, though a distribution that is needed can use them."""
    mentioned: tuple[str, ...] = ()
    """Installed distributions, by name, that third-party modules which are reached import in inner blocks."""
    obstacles: tuple[Warning, ...] = ()
    """What keeps distributions from travelling, or would break Ray: the bundle cannot be made as it is."""


@dataclass(frozen=True, slots=True)
class CollectedFile:
    """One file, read once: what is hashed is what is packed."""

    path: ArchivePath
    executable: bool
    data: bytes
    sha256: str
    """Hex, of `data`."""
