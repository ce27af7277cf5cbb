"""Stored bundles on this machine: `pull`, `run_here`, `verify`, `diff`, `bisect`; and stores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.api.keywords import PathText, StoreKeywords, require, takes
from raybundle.api.reading import connecting_of, given_in, heard_of, job_options
from raybundle.api.stored_keywords import (
    BisectKeywords,
    CheckKeywords,
    GcKeywords,
    HereKeywords,
    PatchKeywords,
    PullKeywords,
    SignKeywords,
    VerifyKeywords,
)
from raybundle.pipeline import verifying
from raybundle.pipeline.bisecting.runners import bisect_configured
from raybundle.pipeline.diffing.diff import diff as differing
from raybundle.pipeline.diffing.patching import patch as patching
from raybundle.pipeline.here import run_here as ran_here
from raybundle.publish.bundles import open_configured
from raybundle.publish.content.pulling import pull as pulled
from raybundle.publish.keeping import GRACE
from raybundle.publish.trust.keys import read_signer
from raybundle.publish.trust.signatures import sign_bundle
from raybundle.resolve.driver.project import parse_directory
from raybundle.submission.ray_environment import RayEnvironment

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from raybundle.pipeline.bisecting.bisect import Bisection
    from raybundle.pipeline.diffing.diff import Diff
    from raybundle.pipeline.diffing.patching import Patch
    from raybundle.pipeline.verifying import Verification
    from raybundle.publish.content.checking import Checked
    from raybundle.publish.content.pulling import Pulled
    from raybundle.publish.gc.collect import Collected
    from raybundle.publish.trust.signatures import Signed
    from raybundle.store.probe import Probed


@takes(PullKeywords)
def pull(ref: str, directory: PathText, **options: Unpack[PullKeywords]) -> Pulled:
    """Unpacks a bundle of the store, each file verified while it is written, and returns what it wrote.

    Args:
        ref: the bundle's digest, the start of it, or a name.
        directory: a new directory, or an empty one. After an error it is as it was.
        options: as `raybundle.api.stored_keywords.PullKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong, or the directory is not empty.
        DigestMismatchError: an object of the store is not what the bundle says.
        StoreError: the store has no such bundle, has lost a part of it, or cannot be used.
    """
    require("ref", ref, str)
    require("directory", directory, PathText)
    settings, heard = given_in(options).settings(), heard_of(options)
    layers = bool(options.get("layers"))
    return pulled(ref, Path(os.fspath(directory)), settings, os.environ, heard, layers=layers)


@takes(HereKeywords)
def run_here(ref: str, arguments: Sequence[str] = (), **options: Unpack[HereKeywords]) -> int:
    """Runs a bundle of the store on this machine, without a cluster; returns the program's exit code.

    The program has the standard streams of this process.

    Args:
        ref: the bundle's digest, the start of it, or a name.
        arguments: of the program.
        options: as `raybundle.api.stored_keywords.HereKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        StoreError: the store has no such bundle, or cannot be used.
        BundleError: this machine has no Python for it, or an object of the store is damaged.
        JobStartError: the boot refuses to run it.
    """
    require("ref", ref, str)
    require("arguments", arguments, Sequence[str])
    settings, start = given_in(options).settings(), parse_directory(options.get("cwd") or "")
    job = job_options(options, settings, tuple(arguments), start, RayEnvironment())
    return ran_here(ref, job, settings, os.environ, heard_of(options))[1]


@takes(PatchKeywords)
def patch(ref: str, **options: Unpack[PatchKeywords]) -> Patch:
    """Returns what leads from a commit of the current project's repository to the files of a bundle.

    Args:
        ref: the bundle's digest, the start of it, a name, or the id of a run.
        options: as `raybundle.api.stored_keywords.PatchKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong, or there is no such repository or commit.
        StoreError: the store has no such bundle, or cannot be used.
        BundleError: an object of the store is damaged, or git fails.
    """
    require("ref", ref, str)
    return patching(ref, options.get("against"), given_in(options))


@takes(SignKeywords)
def sign(ref: str, key: PathText, **options: Unpack[SignKeywords]) -> Signed:
    """Signs a bundle of the store, and its version of a name if the REF is one.

    Args:
        ref: the bundle's digest, the start of it, or a name.
        key: file with an ed25519 private key, in PEM.
        options: as `raybundle.api.stored_keywords.SignKeywords` lists them.

    Raises:
        UsageError: an argument, a setting or the key is wrong, or `version` is another bundle.
        DigestMismatchError: other bytes are in the place of a signature.
        StoreError: the store has no such bundle, or cannot be used.
    """
    require("ref", ref, str)
    require("key", key, PathText)
    signer = read_signer(Path(os.fspath(key)))
    store = open_configured(given_in(options).settings(), os.environ)
    return sign_bundle(store, ref, signer, options.get("version"))


@takes(VerifyKeywords)
def verify(ref: str, **options: Unpack[VerifyKeywords]) -> Verification:
    """Reads everything that a bundle of the store reaches, and returns what is missing or damaged.

    Args:
        ref: the bundle's digest, the start of it, or a name.
        options: as `raybundle.api.stored_keywords.VerifyKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong, or there is nothing to build it from.
        StoreError: the store has no such bundle, or cannot be used.
    """
    require("ref", ref, str)
    return verifying.verify(ref, given_in(options), rebuild=bool(options.get("rebuild")))


@takes(CheckKeywords)
def check(**options: Unpack[CheckKeywords]) -> Checked:
    """Walks the store, and returns what breaks its rules.

    Args:
        options: as `raybundle.api.stored_keywords.CheckKeywords` lists them.

    Raises:
        UsageError: a setting is wrong.
        StoreError: the store has another format, or cannot be used.
    """
    read_data = bool(options.get("read_data"))
    return verifying.check(given_in(options).settings(), os.environ, read_data=read_data)[1]


@takes(GcKeywords)
def gc(**options: Unpack[GcKeywords]) -> Collected:
    """Returns what in the store no name and no kept run needs, once it is removed if `delete` says so.

    Args:
        options: as `raybundle.api.stored_keywords.GcKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        StoreError: the store has another format, or something in it cannot be read: nothing is removed.
        BundleError: the manifest of a bundle is damaged: nothing is removed.
    """
    grace = options.get("grace")
    return verifying.gc(
        given_in(options).settings(),
        os.environ,
        delete=bool(options.get("delete")),
        grace=GRACE.total_seconds() if grace is None else grace,
        forget=options.get("forget_runs_older_than"),
        keep_runs=options.get("keep_runs") or 0,
    )


@takes(StoreKeywords)
def probe_store(url: str | None = None, **options: Unpack[StoreKeywords]) -> Probed:
    """Finds out by trying what a store does for several writers, and removes what it wrote there.

    Args:
        url: of the store; None means the configured one.
        options: as `raybundle.api.keywords.StoreKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        StoreError: the store cannot be read or written at all.
    """
    require("url", url, str | None)
    chosen = options if url is None else {**options, "store": url}
    return verifying.probe(given_in(chosen).settings(), os.environ)


@takes(StoreKeywords)
def diff(before: str, after: str | None = None, **options: Unpack[StoreKeywords]) -> Diff:
    """Returns what differs between two bundles or runs of the store.

    Args:
        before: a digest, the start of one, a name, or the id of a run.
        after: another; None compares with what the project of the current directory gives.
        options: as `raybundle.api.keywords.StoreKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong, or the project has no such target.
        StoreError: the store has no such bundle, or cannot be used.
        BundleError: an object is damaged, or the target cannot be bundled now.
    """
    require("before", before, str)
    require("after", after, str | None)
    return differing(before, after, given_in(options))


@takes(BisectKeywords)
def bisect(good: str, bad: str, **options: Unpack[BisectKeywords]) -> Bisection:
    """Runs mixtures of two bundles or runs, and returns the differences that turn good into bad.

    Args:
        good: a bundle or run of the store that works.
        bad: one that does not.
        options: as `raybundle.api.stored_keywords.BisectKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong, or the two do not behave as they should.
        StoreError: the store has no such bundle, or cannot be written.
    """
    require("good", good, str)
    require("bad", bad, str)
    heard = heard_of(options)
    return bisect_configured(
        good,
        bad,
        connecting_of(options, given_in(options).settings(), heard),
        os.environ,
        heard,
        check=options.get("check") or (),
        at_once=options.get("at_once") or 1,
        here=bool(options.get("here")),
    )
