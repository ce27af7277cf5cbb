"""The keyword arguments of the functions that look into stored bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence  # noqa: TC003 - `takes` reads the types

from raybundle.api.keywords import ClusterKeywords, PathText, StoreKeywords, TrustKeywords


class PullKeywords(TrustKeywords, total=False):
    """What of a stored bundle is unpacked."""

    layers: bool
    """Unpacks the distributions that travel as well."""


class HereKeywords(TrustKeywords, total=False):
    """How a stored bundle is run on this machine."""

    env: Mapping[str, str] | None
    """Environment variables of the program."""
    secrets: Mapping[str, str] | None
    """References to secrets by environment variable: `file:/path` or `env:NAME`."""
    cwd: str | None
    """Where the program starts, relative to the project's root."""
    python: PathText | None
    """The interpreter, which must have Ray: a path, or a version such as `3.12`."""


class PatchKeywords(TrustKeywords, total=False):
    """What a patch begins from."""

    against: str | None
    """The commit; that of the run, or of the latest run of the bundle, if this is not given."""


class SignKeywords(StoreKeywords, total=False):
    """What is signed besides the bundle."""

    version: str | None
    """The version of a name, such as `fraud@3`, that the bundle must be."""


class VerifyKeywords(StoreKeywords, total=False):
    """What a stored bundle is compared with."""

    rebuild: bool
    """Builds it from the working tree as well, and compares the two."""
    python: str | None
    """For which Python it is built then; the bundle's, if this is not given."""
    platform: str | None
    """Likewise, for which platform."""


class CheckKeywords(StoreKeywords, total=False):
    """How far a store is read."""

    read_data: bool
    """Reads all archives as well, file by file."""


class GcKeywords(StoreKeywords, total=False):
    """What of a store is removed."""

    delete: bool
    """Removes what nothing leads to; otherwise it is only returned."""
    grace: float | None
    """Seconds for which what nothing leads to stays; 14 days by default."""
    forget_runs_older_than: float | None
    """Seconds after which runs about which nothing was recorded are forgotten."""
    keep_runs: int
    """The number of runs, the youngest ones, that are not forgotten."""


class BisectKeywords(TrustKeywords, ClusterKeywords, total=False):
    """Where mixtures of two bundles run, and what judges them."""

    here: bool
    """Runs them on this machine, without a cluster."""
    check: Sequence[str] | None
    """A command that judges a run: its log is the standard input, 0 is good, 125 decides nothing."""
    at_once: int
    """Mixtures that run at the same time."""
    python: PathText | None
    """The interpreter that runs them here, or the embedded cluster: a path, or a version such as `3.12`."""
