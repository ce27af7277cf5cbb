"""The options of commands that look into a store: `pull`, and those that compare and verify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from raybundle.cli.options import add_connection, add_python, add_trust, count, duration

if TYPE_CHECKING:
    from argparse import ArgumentParser


GRACE = 14 * 86400
"""Seconds, as `raybundle.publish.keeping.GRACE`, which the help does not load."""


class _Add(Protocol):
    """Adds a command."""

    def __call__(self, name: str, text: str, usage: str | None = None) -> ArgumentParser:
        """Returns its parser."""


def add_stored_commands(add: _Add) -> None:
    """Adds the commands."""
    pull = add("pull", "Unpack a bundle of the store, verified file by file, into a new directory.")
    pull.add_argument("ref", metavar="REF")
    pull.add_argument("directory", metavar="DIR")
    add_trust(pull)
    _add_signing(add)
    diff = add("diff", "Show what differs between two bundles or runs, or a bundle and the working tree.")
    diff.add_argument("before", metavar="A")
    diff.add_argument("after", metavar="B", nargs="?", help="the working tree if it is left out")
    diff.add_argument("--stat", action="store_true", help="count the lines of files instead of showing them")
    diff.add_argument("--exit-code", action="store_true", help="10 if they differ")
    bisect = add(
        "bisect",
        "Find the differences that turn a bundle or run that works into one that does not.",
        "bisect [options] GOOD BAD [-- CHECK…]",
    )
    bisect.add_argument("good", metavar="GOOD")
    bisect.add_argument("bad", metavar="BAD")
    bisect.add_argument("--here", action="store_true", help="run mixtures on this machine, without a cluster")
    at_once = "mixtures that run at the same time"
    bisect.add_argument("--jobs", dest="at_once", type=count, default=1, metavar="N", help=at_once)
    add_trust(bisect)
    add_connection(bisect)
    verify = add("verify", "Read everything that a bundle reaches in the store, and compare each byte.")
    verify.add_argument("ref", metavar="REF")
    again = "also build it from the working tree, and compare the two"
    verify.add_argument("--rebuild", action="store_true", help=again)
    add_python(verify, "with --rebuild: ")
    check = add("check", "Walk the store, and find what breaks its rules: lost, damaged and unknown objects.")
    check.add_argument("--read-data", action="store_true", help="also read all archives, file by file")
    text = "Find out by trying what a store does for several writers, and what follows if it does not."
    store = add("store", text, "store probe [options] [URL]")
    store.add_argument("action", choices=["probe"])
    store.add_argument("url", metavar="URL", nargs="?", help="the configured store if it is left out")
    _add_gc(add("gc", "Show what in the store no name and no kept run needs; `--delete` removes it."))
    pull.add_argument("--layers", action="store_true", help="also unpack the distributions that travel")


def _add_signing(add: _Add) -> None:
    patch = add("patch", "Print what `git apply` needs to get from a commit to the files of a bundle.")
    patch.add_argument("ref", metavar="REF")
    begin = "the commit to begin from (default: that of the run, or of the bundle's latest run)"
    patch.add_argument("--against", metavar="COMMIT", help=begin)
    add_trust(patch)
    sign = add("sign", "Sign a bundle of the store, and its version of a name if REF is one.")
    sign.add_argument("ref", metavar="REF")
    sign.add_argument("--key", required=True, metavar="FILE", help="ed25519 private key, in PEM")
    version = "also sign that the bundle is this version of a name; REF is a digest then"
    sign.add_argument("--as", dest="version", metavar="NAME@N", help=version)


def _add_gc(gc: ArgumentParser) -> None:
    gc.add_argument("--delete", action="store_true", help="remove it; without this, it is only shown")
    grace = "keep what is younger than this: 30d (default: 14d); below 14d only while nobody builds"
    gc.add_argument("--grace", type=duration, metavar="TIME", default=GRACE, help=grace)
    forget = "also forget runs about which nothing was recorded for this time: 90d"
    gc.add_argument("--forget-runs-older-than", type=duration, metavar="TIME", help=forget)
    keep = "with it: keep the N youngest runs, however old they are"
    gc.add_argument("--keep-runs", type=count, metavar="N", default=0, help=keep)
