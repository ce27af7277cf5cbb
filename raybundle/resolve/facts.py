"""What one source file says about imports: frozen, free of paths and interpreters, kept in the scan cache."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.model import Deferred, Rule

FACTS_FORMAT = 10
"""Raised whenever the scanner learns something, so that facts of an older one are not believed."""


Mode = Literal["", "main", "imported", "packaged", "bare"]
"""Whether `__name__` is `__main__` or not, and whether `__package__` names a package or not."""


@dataclass(frozen=True, slots=True)
class Import:
    """One request to import, as the file writes it."""

    name: str
    """With the leading dots of a relative import; for `prefix` with `*` for what is not known; for `string` a
    name that may go on inside the module (`pkg.mod:attr`, `pkg.mod.Class`); for `entry-point` the group."""
    line: int
    names: tuple[str, ...] = ()
    """After `from … import`, `("*",)` for a star; for `attribute` the chain of attributes; for `lazy-table`
    the candidates; `("deep",)` of a walk, `("setting",)` of a string in a settings list, `("admin",)`."""
    rule: Rule = "import"
    """`attribute`: a chain on an imported name, whose parts may or may not be submodules."""
    optional: bool = False
    instead_of: tuple[str, ...] = ()
    """Imports whose failure leads here (`except ImportError: import b`)."""
    only: Mode = ""
    """How the module must run for the import to be executed."""
    deferred: Deferred = ""
    """Why it may not run when the module loads."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """An import whose name only the running program knows."""

    line: int
    text: str
    pattern: str = ""
    """What is known of the name, with `*` for what is not."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something in a source that the user should hear of."""

    line: int
    kind: Literal[
        "runtime-env", "py-modules", "working-dir", "installer", "own-cluster", "comment", "no-effect"
    ]
    text: str
    """The field of a runtime_env, what `ray.init` is given, or the comment without effect."""


Place = Literal["here", "start"]
"""Where a relative path begins: beside the file that has it, or where the job starts."""


ENVIRONMENT_FILE = ".env"
"""What `load_dotenv` looks for, beside the source and above: such a path `here` stands for that."""


@dataclass(frozen=True, slots=True)
class Named:
    """A path that a source names."""

    line: int
    place: Place
    path: str
    """Relative, normalised, perhaps with `..` at its start; with `*` for what is not known."""
    wide: bool = False
    """It may also be a directory, whose files are meant; else it counts only as a file."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the closure needs to know about one source file."""

    sha256: str
    imports: tuple[Import, ...] = ()
    exports: tuple[str, ...] = ()
    """The literal names in `__all__`; `=pkg.mod` for that of another module; `*` where it is computed."""
    unknown: tuple[Unknown, ...] = ()
    path_edits: tuple[int, ...] = ()
    """Lines that change `sys.path`."""
    remarks: tuple[Remark, ...] = ()
    configs: tuple[str, ...] = ()
    """Names of configuration files that it has in strings; `*.yaml` for any with that suffix."""
    installs: tuple[str, ...] = ()
    """Distributions that a literal `runtime_env` in it installs, normalised."""
    rewires: tuple[int, ...] = ()
    """Lines that may change `__path__` or `sys.modules`."""
    named: tuple[Named, ...] = ()
    """Paths of files that it may read."""


def in_order(imports: Iterable[Import]) -> tuple[Import, ...]:
    """Return imports by line, each once."""
    return tuple(sorted(set(imports), key=_import_order))


def _import_order(each: Import) -> tuple[int, str, tuple[str, ...], str, bool, str]:
    return (each.line, each.name, each.names, each.rule, each.optional, each.deferred)


_IMPORT_ROW = attrgetter(*(each.name for each in fields(Import)))
_UNKNOWN_ROW = attrgetter(*(each.name for each in fields(Unknown)))


def to_json(facts: Facts) -> list[Any]:
    """Return nested lists and strings that `from_json` turns back into the same facts."""
    return [
        facts.sha256,
        list(map(_IMPORT_ROW, facts.imports)),
        facts.exports,
        list(map(_UNKNOWN_ROW, facts.unknown)),
        facts.path_edits,
        [astuple(each) for each in facts.remarks],
        facts.configs,
        facts.installs,
        facts.rewires,
        [astuple(each) for each in facts.named],
    ]


def from_json(value: list[Any]) -> Facts:
    """Return the facts that `to_json` wrote.

    Raises:
        TypeError, ValueError, IndexError: the value has another shape.
    """
    sha256, imports, exports, unknown, path_edits, remarks, configs, installs, rewires, named = value
    return Facts(
        sha256,
        tuple(_import(*each) for each in imports),
        tuple(exports),
        tuple(Unknown(*each) for each in unknown),
        tuple(path_edits),
        tuple(Remark(*each) for each in remarks),
        tuple(configs),
        tuple(installs),
        tuple(rewires),
        tuple(Named(*each) for each in named),
    )


def _import(  # noqa: PLR0913, PLR0917 - the fields of one stored row
    name: str,
    line: int,
    names: list[str],
    rule: Rule,
    optional: bool,
    instead_of: list[str],
    only: Mode,
    deferred: Deferred,
) -> Import:
    return Import(name, line, tuple(names), rule, optional, tuple(instead_of), only, deferred)
