"""The values that one stage passes to the next: frozen, and named in the words of the design."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NewType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Digest = NewType("Digest", str)
"""`sha256:` and 64 lower-case hex digits."""

ModuleName = NewType("ModuleName", str)
"""An absolute dotted module name; `__main__` for the target if it is a script."""

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
    "pickle",
    "entry-point",
    "django-app",
    "resource",
    "comment",
    "include",
    "start-up",
    "trace",
]
"""How one module reaches another. `rules` in [tool.raybundle] switches rules on and off by these names."""

FOUND_BY: Mapping[Rule, FoundBy] = {
    "import": "static",
    "attribute": "static",
    "import-module": "literal",
    "string": "literal",
    "prefix": "prefix",
    "walk": "prefix",
    "lazy-table": "literal",
    "config-file": "literal",
    "pickle": "literal",
    "entry-point": "literal",
    "django-app": "prefix",
    "resource": "resource",
    "comment": "declared",
    "include": "declared",
    "start-up": "static",
    "trace": "traced",
}

Deferred = Literal["", "function", "branch"]
"""Why a statement may not run when its module loads: in a function, or under an undecidable condition."""

WIDENING: frozenset[Rule] = frozenset(
    ["string", "prefix", "walk", "lazy-table", "config-file", "pickle", "entry-point", "django-app"]
)
"""Rules that guess. What they find is shown with its place and can be switched off."""

ModuleKind = Literal["script", "module", "package", "namespace", "extension"]


@dataclass(frozen=True, slots=True)
class ScriptTarget:
    """A script, run as `python path`."""

    path: Path
    """Absolute, in a real directory. If the script itself is a link, only `sys.path[0]` follows it."""
    options: tuple[str, ...] = ()
    """Options of Python, as in `python -P -W error path`. Each is one word with its value (`-Werror`)."""


@dataclass(frozen=True, slots=True)
class ModuleTarget:
    """A module, run as `python -m name`."""

    name: ModuleName
    options: tuple[str, ...] = ()
    imported: bool = False  # as Ray Serve does: not run; of a package, its `__init__`


@dataclass(frozen=True, slots=True)
class DirectoryTarget:
    """A directory that contains a `__main__.py`, run as `python path`."""

    path: Path
    """Absolute, symbolic links resolved."""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotebookTarget:
    """A notebook. Its code cells run in order, like a script in its directory."""

    path: Path
    """Absolute, symbolic links resolved."""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsoleScriptTarget:
    """A command that the project installs, run like the script that an installer would write for it."""

    name: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionTarget:
    """A call of a function of a running Python, carried out by a script that is made for it."""

    script: Path
    """Where the script would be: absolute, in a real directory. No such file exists."""
    content: bytes = field(repr=False)
    places: tuple[tuple[Path, int], ...] = field(repr=False)
    """For each line of the script, the file (or cell) and the line that it comes from."""
    call: bytes = field(repr=False)
    """The pickled call, which travels beside the script with the suffix `.pickle`."""
    options: tuple[str, ...] = ()


_OfProject = ScriptTarget | ModuleTarget | DirectoryTarget | NotebookTarget | ConsoleScriptTarget
Target = _OfProject | FunctionTarget


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The facts of the target interpreter, from one subprocess."""

    executable: str
    implementation: str
    """`sys.implementation.name`, such as `cpython`."""
    version: tuple[int, int, int]
    abi: str
    """`SOABI`, such as `cpython-311-x86_64-linux-gnu`."""
    platform: str
    """`sysconfig.get_platform()`, such as `linux-x86_64`, with the machine instead of `universal2`."""
    path: tuple[str, ...]
    """`sys.path` without a script's directory: PYTHONPATH, standard library, site-packages, `.pth` roots.

    Entries that do not exist are included, because edits of the path refer to entries by index.
    """
    stdlib: tuple[str, ...]
    """The entries of `path` with the standard library."""
    site: tuple[str, ...]
    """The entries of `path` that are site-packages (or dist-packages) directories."""
    builtin_names: frozenset[str]
    stdlib_names: frozenset[str]
    suffixes: tuple[str, ...]
    """Module suffixes in the order in which Python tries them: extensions, source, byte-code."""
    editables: tuple[tuple[str, str], ...]
    """Name and location without suffix of each module that a finder of an editable install maps."""
    namespaces: tuple[tuple[str, str], ...] = ()
    """Name and directory of each namespace portion of setuptools' finders; empty if all of it is mapped."""
    projects: tuple[tuple[str, str], ...] = ()
    """Directory and `.dist-info` of each distribution with an editable install (PEP 610)."""
    safe_path: bool = False
    """Python does not put the script's or the current directory on the path (`-P`, `-I`, PYTHONSAFEPATH)."""
    executable_differs: bool = False
    """`version` is the nodes', and `executable` has another minor: its byte-code does not work there."""
    installed_differ: bool = False
    """The distributions that travel differ from the installed ones."""


@dataclass(frozen=True, slots=True)
class Root:
    """A directory on the driver's path that holds first-party code of this bundle."""

    symbol: RootSymbol
    directory: Path
    source: str = ""
    """Why this is a root, if neither the interpreter nor `roots` says so: `pyproject.toml: …`."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One import: the importer, the imported module and the place."""

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
    """Hex digest of the scanned source, to notice a later change; None if it was not scanned."""
    content: bytes | None = None
    """The bytes that travel instead of those of `file`: code cells of a notebook, a console script."""


NAMED = " (path)"
"""End of the reason of a file that travels because a path names it."""
TRACKED = "not ignored by git"
"""Reason of a file that travels because all data does (`data = "tracked"`)."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that travels but is not a module: package data or an `include`."""

    file: Path
    path: ArchivePath
    reason: str
    """Such as `data of package pkg` or `include data/*.csv`."""
    content: bytes | None = None
    """The bytes that travel instead of those of `file`: metadata without what differs between machines."""

    @property
    def is_named(self) -> bool:
        """Whether it travels because a path in a source file or an argument names it."""
        return self.reason.endswith(NAMED)


Provider = Literal["bundle", "cluster", "ray"]
"""Who brings a distribution to the nodes: a layer of the bundle, what is installed there, or Ray."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A third-party project that the job needs or can use, as it is installed or was fetched."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    provided_by: Provider
    bytes: int
    """Size of its installed files according to RECORD."""
    modules: tuple[ModuleName, ...] = ()
    """Its modules that first-party code imports; empty if only another distribution requires it."""
    metadata: Path | None = None
    """Absolute path of its `.dist-info` directory if it travels. The parent directory has its files."""
    required_by: str = ""
    """What needs it, such as `pandas` or `ray[data]`, if first-party code does not; in `optional`, the extra
    (`pandas[parquet]`); in `plugins`, what loads it, and its group (`sqlalchemy (sqlalchemy.dialects)`)."""
    imported_by: str = ""
    """The module of `required_by` that imports it at top level; empty if metadata requires it."""
    origin: str = ""
    """Where it was installed from if not from an index, without credentials; with `@commit` if known."""


@dataclass(frozen=True, slots=True)
class Missing:
    """An import that resolves nowhere."""

    name: ModuleName
    importer: ModuleName
    file: Path
    line: int
    absent: ModuleName
    """The outermost package of `name` that does not exist, or `name` itself."""


AbsentKind = Literal["function", "optional", "guessed"]
"""Why an import may never run, the likeliest to run first."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Imports under one name that resolve nowhere and do not run when the driver loads."""

    name: str
    """The top-level name, or the common name below a package that exists."""
    kind: AbsentKind
    count: int
    """Number of places with such an import."""
    files: tuple[Path, ...]
    """The shortest chain from the driver. The last file has the import."""
    lines: tuple[str, ...]
    """The line in each of `files`."""
    names: tuple[str, ...]
    """The imported modules: `name` or modules below it."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """An import whose name only the running program knows."""

    importer: ModuleName
    file: Path
    line: int
    text: str
    """The expression as written in the file."""
    pattern: str = ""
    """The known parts of the absolute name, with `*` for each unknown part: `pkg.*.handlers`."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A call that reads a file whose name only the running program knows."""

    file: Path
    line: int
    text: str
    """The call as written in the file."""
    passed: bool
    """The name comes from a caller, an object or another module, not from the place itself."""


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A module that the path has more than once. Python imports `file`."""

    name: ModuleName
    file: Path
    others: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 - the design's word
    """Something unknown or suspicious, with its place and a hint that settles it."""

    text: str
    file: Path | None = None
    line: int | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """The effective import graph of a target, and the path for which it is valid."""

    target: Target
    project: Path
    interpreter: Interpreter
    path: tuple[RootSymbol, ...]
    """In order: the roots with files of the bundle, and `stdlib`, `layers` and `ray` in their places."""
    roots: tuple[Root, ...]
    modules: tuple[Module, ...]
    """Sorted by name."""
    edges: tuple[Edge, ...]
    data: tuple[DataFile, ...]
    distributions: tuple[Distribution, ...]
    missing: tuple[Missing, ...]
    """Imports that resolve nowhere and run when the driver loads."""
    warnings: tuple[Warning, ...]
    not_found: tuple[Missing, ...] = ()
    """Optional imports that resolve nowhere, and imports that a setting or a traced run has settled."""
    absent: tuple[Absent, ...] = ()
    """The other imports that resolve nowhere. They may never run."""
    unknown: tuple[Unknown, ...] = ()
    shadowed: tuple[Shadowed, ...] = ()
    not_imported: tuple[ModuleName, ...] | None = None
    """Modules found by statements that no traced run imported; None without a traced run."""
    optional: tuple[Distribution, ...] = ()
    """Installed distributions that do not travel, although an extra of a needed distribution names them."""
    plugins: tuple[Distribution, ...] = ()
    """Installed distributions that do not travel and have entry points for one that does."""
    mentioned: tuple[str, ...] = ()
    """Names of installed distributions that reached third-party modules import below their top level."""
    opened: tuple[Opened, ...] = ()
    """Places that may read files of the project which are not in `data`."""
    obstacles: tuple[Warning, ...] = ()
    """Reasons why distributions cannot travel or would break Ray. With one, the bundle cannot be built."""


@dataclass(frozen=True, slots=True)
class CollectedFile:
    """A file of the bundle. It is read again to be sent; `raybundle.content` compares the bytes then."""

    path: ArchivePath
    executable: bool
    size: int
    """In bytes."""
    sha256: str
    """Hex digest of the content."""
    source: Path | bytes
    """The content, or the file that has it."""
