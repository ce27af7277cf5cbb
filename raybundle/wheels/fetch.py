"""Fetches the distributions of an order once: resolves with uv, and installs into a directory to keep."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cache.room import IN_USE, make_room, remove, touch
from raybundle.directories import make_private
from raybundle.errors import BundleError
from raybundle.node.cache.raybundle_record import sync_now
from raybundle.resolve.distributions.installed import InstalledDistributions, normalised_name
from raybundle.wheels.compile import (
    UvSettings,
    environ_of,
    names_of,
    options_of,
    project_file,
    with_indexes,
)
from raybundle.wheels.order import no_wheels
from raybundle.wheels.uv.run import NoSolutionError, run_uv

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from raybundle.wheels.order import Order

KEPT = 8
"""Directories of distributions in the cache."""
_PARTIAL = ".partial-"
"""Starts the name of a directory that is not yet whole."""
_LINE = re.compile(r"^(?P<name>[\w.-]+)(?:\[[^\]]*\])?\s*(?:==(?P<version>[^\s;]+)|@\s*\S+)")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


def fetch(order: Order, hashes: Mapping[str, tuple[str, ...]], uv: UvSettings) -> Path:
    """Returns the directory that holds what was ordered, as a site-packages directory would.

    Args:
        order: what to fetch.
        hashes: those of the lock, by normalised name; other files are refused.
        uv: how to run it.

    Raises:
        BundleError: wheels do not exist, an index cannot be reached, or files are not those of the lock.
        UsageError: uv is not installed.
    """
    uv.pinned.refuse_unclear(names_of(order.requirements))
    text = _compiled(order, uv)
    uv.pinned.refuse_unclear(names_of(text.splitlines()))
    _refuse_indexed(text, order)
    resolved = _with_hashes(text, hashes)
    named = "\n".join([*options_of(order), *map(str, order.nodes.platform.variables.items()), resolved])
    directory = uv.directory / hashlib.sha256(named.encode()).hexdigest()[:32]
    if not _is_whole(directory, resolved):
        remove(directory)
        _install(order, resolved, directory, uv)
    touch(directory)
    make_room(uv.directory, KEPT, uv.clock(), IN_USE)
    return directory


def _compiled(order: Order, uv: UvSettings) -> str:
    """Returns the requirements with hashes, for the nodes only."""
    with tempfile.TemporaryDirectory(prefix="raybundle-") as directory:
        constraints, overrides = Path(directory, "constraints.txt"), Path(directory, "overrides.txt")
        constraints.write_text("\n".join(order.constraints), "utf-8")
        # A marker that never holds drops a requirement, whoever has it (uv's documentation, overrides).
        overrides.write_text(
            "".join(f"{name}; sys_platform == 'never'\n" for name in order.excluded), "utf-8"
        )
        words = ["--generate-hashes", "--constraints", str(constraints), "--overrides", str(overrides)]
        try:
            return with_indexes(order.requirements, words, order, uv)
        except NoSolutionError as error:
            from raybundle.wheels.refusals import explain  # noqa: PLC0415 - only where it fails

            raise explain(order, uv, error) from error


def _refuse_indexed(compiled: str, order: Order) -> None:
    """Refuses distributions from an index if those installed here are not from one."""
    lines = dict(order.unindexed)
    named = [found for found in map(_LINE.match, compiled.splitlines()) if found and found["version"]]
    refused = [lines[name] for name in (normalised_name(each["name"]) for each in named) if name in lines]
    if refused:
        raise no_wheels(order.nodes, refused)


def _with_hashes(compiled: str, hashes: Mapping[str, tuple[str, ...]]) -> str:
    """Returns the requirements, one per line; hashes of the lock replace those of the index."""
    lines, refused = [], []
    for line in compiled.replace("\\\n", " ").splitlines():
        named = _LINE.match(line)
        if named is None:
            continue
        found = _HASH.findall(line)
        locked = hashes.get(normalised_name(named["name"]), ()) if named["version"] else ()
        allowed = [each for each in found if each in locked] if locked else found
        if not allowed:
            refused.append(f"{named['name']} {named['version'] or ''}".strip())
        lines.append(" ".join([named[0].rstrip(), *(f"--hash={each}" for each in allowed)]))
    if refused:
        raise BundleError(
            f"no file of the index has a hash of the lock: {', '.join(refused)}",
            hint="lock again if it was replaced there; otherwise name the index that the lock was made with",
        )
    return "\n".join(lines)


def _is_whole(directory: Path, resolved: str) -> bool:
    found = InstalledDistributions((str(directory),)).by_name
    named = [each["name"] for each in map(_LINE.match, resolved.splitlines()) if each]
    return all(name in found and found[name].is_recorded for name in map(normalised_name, named))


def _install(order: Order, resolved: str, directory: Path, uv: UvSettings) -> None:
    """Creates `directory` completely or not at all."""
    make_private(uv.directory)
    with tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=uv.directory) as partial:
        requirements, constraints = Path(partial, "requirements.txt"), Path(partial, "constraints.txt")
        own, others = uv.pinned.split(resolved.splitlines())
        requirements.write_text("\n".join(others), "utf-8")
        constraints.write_text("\n".join(own), "utf-8")  # with the hashes, which a pyproject.toml cannot have
        given = [str(requirements), *project_file([_bare(each) for each in own], Path(partial), uv)]
        prefix = Path(partial, "prefix")
        (prefix / "lib").mkdir(parents=True)
        (prefix / "lib64").symlink_to("lib")  # as in a venv: Fedora's Python puts native files there
        # With --prefix, scripts are beside the site-packages directory; --target would put them into it.
        run_uv(
            [
                *("pip", "install", "--prefix", str(prefix), "--constraints", str(constraints)),
                *(word for file in given for word in ("--requirements", file)),
                *(*options_of(order), "--python", uv.python),
                *("--require-hashes", "--no-deps", "--no-compile-bytecode"),
            ],
            environ_of(order, uv),
            uv.project,
        )
        site = next(each.parent for each in _metadata_below(prefix))
        sync_now(str(site))  # after a power loss, a name must not mean files without bytes
        try:
            site.rename(directory)
        except OSError:
            if not directory.is_dir():  # otherwise another run was faster
                raise


def _bare(line: str) -> str:
    return line.partition(" --hash=")[0]


def _metadata_below(prefix: Path) -> Iterator[Path]:
    for pattern in (
        "lib/*/site-packages/*.dist-info",
        "Lib/site-packages/*.dist-info",
        "lib/*/*/*.dist-info",
    ):
        yield from prefix.glob(pattern)
