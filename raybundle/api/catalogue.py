"""What a store has: `bundles` and `tag`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from raybundle.api.keywords import StoreKeywords, require, takes
from raybundle.api.reading import given_in
from raybundle.publish.bundles import open_configured
from raybundle.publish.catalogue import list_bundles, tag_bundle

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from raybundle.publish.catalogue import Listed


@takes(StoreKeywords)
def bundles(**options: Unpack[StoreKeywords]) -> tuple[Listed, ...]:
    """Returns the bundles of the store with their names, the oldest first.

    Args:
        options: as `raybundle.api.keywords.StoreKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        StoreError: the store cannot be used.
    """
    return list_bundles(open_configured(given_in(options).settings(), os.environ))


@takes(StoreKeywords)
def tag(ref: str, name: str, **options: Unpack[StoreKeywords]) -> int:
    """Makes a name point to a bundle of the store, and returns the bundle's version under that name.

    Args:
        ref: as for `show`.
        name: the name, which keeps its history.
        options: as `raybundle.api.keywords.StoreKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        StoreError: the store has no such bundle, or cannot be used.
    """
    require("ref", ref, str)
    require("name", name, str)
    _, version = tag_bundle(open_configured(given_in(options).settings(), os.environ), ref, name)
    return version
