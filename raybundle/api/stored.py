"""What a store has: `pull`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.api.keywords import PathText, PullKeywords, require, takes
from raybundle.api.reading import given_in, heard_of
from raybundle.publish.content.pulling import pull as pulled

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from raybundle.publish.content.pulling import Pulled


@takes(PullKeywords)
def pull(ref: str, directory: PathText, **options: Unpack[PullKeywords]) -> Pulled:
    """Unpacks a bundle of the store, each file verified while it is written, and returns what it wrote.

    Args:
        ref: the bundle's digest, the start of it, or a name.
        directory: a new directory, or an empty one. After an error it is as it was.
        options: as `raybundle.api.keywords.PullKeywords` lists them.

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
