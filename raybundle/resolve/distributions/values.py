"""Values: which distributions a job asks for, which it needs, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.model import Distribution


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job asks of the installed distributions."""

    third_party: Mapping[str, str]
    """The file of each imported name."""
    optional: frozenset[str] = frozenset()
    """Those of `third_party` whose imports all handle ImportError."""
    declared: tuple[str, ...] = ()
    """Installed distributions that `include` names, normalised."""
    dependencies: Literal["bundle", "cluster"] = "bundle"
    cluster_provides: tuple[str, ...] = ()
    """Normalised."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """A needed distribution in a version that Ray does not accept."""

    name: str
    version: str
    requirement: str
    """Of Ray, such as `protobuf>=3.20.3`."""
    ray: str
    """The version of Ray that requires it."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """A requirement of a bundled distribution that the environment does not meet."""

    by: str
    requirement: str
    """Such as `numpy>=2`, without a URL."""
    version: str
    """The installed version; empty if it is not installed."""


class LazyImport(NamedTuple):
    """An installed distribution that does not travel, and what one of its possible users says of it."""

    distribution: str
    version: str
    module: str
    """Its top-level name."""
    names: tuple[str, ...]
    """Of the functions, methods and classes that import it when they are called."""
    extras: tuple[str, ...]
    """Those of the user that name it."""


class LazyUser(NamedTuple):
    """A distribution that first-party code imports, and what it can import when it is called."""

    name: str
    files: tuple[str, ...]
    """The sources of its modules that load when it is imported."""
    imports: tuple[LazyImport, ...]


LazyKind = Literal["distinctive", "member", "method"]
"""How a use is recognised: by the name alone, as `to_parquet` beside the extra `parquet`; by an import of the
name, or of the module that has it; as an attribute of anything, in a file that imports the distribution."""


class LazyUse(NamedTuple):
    """A definition of an imported distribution that imports one that does not travel when it is called."""

    name: str
    """Of the function, method or class: `to_parquet`."""
    user: str
    """The distribution that defines it."""
    distribution: str
    version: str
    module: str
    """The top-level name of what it imports."""
    kind: LazyKind


@dataclass(frozen=True, slots=True)
class Needed:
    """The distributions that a bundle needs, and what is wrong with them."""

    distributions: tuple[Distribution, ...] = ()
    optional: tuple[Distribution, ...] = ()
    """Installed but not needed; an extra of one of `distributions` names them."""
    plugins: tuple[Distribution, ...] = ()
    """Installed but not needed; they have entry points for one of `distributions`."""
    lazy: tuple[LazyUser, ...] = ()
    mentioned: tuple[str, ...] = ()
    """Names of installed distributions that inner blocks of reached modules import."""
    unowned: tuple[str, ...] = ()
    """Imported names whose files belong to no installed distribution."""
    unrecorded: tuple[str, ...] = ()
    """Needed distributions without RECORD: their files are not known."""
    editable: tuple[tuple[str, str], ...] = ()
    """Editable distributions and what requires them: both names."""
    unfit: tuple[Unfit, ...] = ()
    unmet: tuple[Unmet, ...] = ()
    exposed: tuple[tuple[str, str], ...] = ()
    """Distributions that require another one by a URL with credentials: both names."""
