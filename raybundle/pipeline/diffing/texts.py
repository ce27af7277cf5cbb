"""Unified diffs of the files that differ between two bundles."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.bundle.values import ManifestFile
    from raybundle.pipeline.diffing.ends import End

LARGEST = 1 << 20
"""Bytes of a file up to which its lines are compared."""


class FileDiff(NamedTuple):
    """A file that only one side has, or that differs."""

    path: str
    before: ManifestFile | None
    after: ManifestFile | None
    lines: tuple[str, ...] | None
    """Of the unified diff, without its headers and ends of lines; None if it is not text, or large."""

    @property
    def kind(self) -> str:
        """`added`, `removed` or `changed`."""
        return "changed" if self.before and self.after else "added" if self.after else "removed"

    def count(self, sign: str) -> int:
        """Returns how many lines begin with `+` or `-`."""
        return sum(each.startswith(sign) for each in self.lines or ())

    def headed(self) -> Iterator[str]:
        """Yields the diff as `git diff` shows it."""
        yield f"diff --git a/{self.path} b/{self.path}"
        if self.before and self.after and self.before.executable != self.after.executable:
            yield f"old mode {_mode(self.before)}"
            yield f"new mode {_mode(self.after)}"
        elif not self.before and self.after:
            yield f"new file mode {_mode(self.after)}"
        elif self.before and not self.after:
            yield f"deleted file mode {_mode(self.before)}"
        old, new = (
            (f"a/{self.path}" if self.before else "/dev/null"),
            (f"b/{self.path}" if self.after else "/dev/null"),
        )
        if self.lines is None:
            yield f"Binary files {old} and {new} differ"
        elif self.lines:
            yield f"--- {old}"
            yield f"+++ {new}"
            yield from self.lines


def _mode(file: ManifestFile) -> str:
    return "100755" if file.executable else "100644"


def file_diffs(before: End, after: End) -> tuple[FileDiff, ...]:
    """Returns the files that differ, by path; each archive is read once, and only if it is needed.

    Raises:
        DigestMismatchError: an archive is damaged.
    """
    old, new = ({str(each.path): each for each in end.manifest.files} for end in (before, after))
    paths = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
    texts = [
        end.read([files[path] for path in paths if path in files and _compared(old.get(path), new.get(path))])
        for end, files in ((before, old), (after, new))
    ]
    return tuple(
        FileDiff(path, old.get(path), new.get(path), _lines(old.get(path), new.get(path), path, *texts))
        for path in paths
    )


def _compared(before: ManifestFile | None, after: ManifestFile | None) -> bool:
    """Returns whether the lines of a file are compared: its content differs, and neither side is large."""
    sides = [each for each in (before, after) if each is not None]
    same = len(sides) == 2 and sides[0].sha256 == sides[1].sha256  # noqa: PLR2004 - both
    return not same and all(each.size <= LARGEST for each in sides)


def _lines(
    before: ManifestFile | None,
    after: ManifestFile | None,
    path: str,
    old: dict[str, bytes],
    new: dict[str, bytes],
) -> tuple[str, ...] | None:
    if before and after and before.sha256 == after.sha256:
        return ()
    if not _compared(before, after):
        return None
    try:
        first, second = (data.get(path, b"").decode() for data in (old, new))
    except UnicodeDecodeError:
        return None
    if "\0" in first or "\0" in second:
        return None
    found = list(difflib.unified_diff(_split(first), _split(second)))[2:]
    return tuple(line for each in found for line in _ended(each))


def _split(text: str) -> list[str]:
    """Returns lines with their ends; only a newline ends one, as for git."""
    lines = text.split("\n")
    return [*(f"{each}\n" for each in lines[:-1]), *filter(None, lines[-1:])]


def _ended(line: str) -> tuple[str, ...]:
    """Returns a line of a diff without its end; where there is none, git says so."""
    return (line[:-1],) if line.endswith("\n") else (line, "\\ No newline at end of file")
