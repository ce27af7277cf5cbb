"""What a store has: `bundles`, `tag`, `runs` and `show_run`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from raybundle.api.job_keywords import RunsKeywords
from raybundle.api.keywords import StoreKeywords, require, takes
from raybundle.api.reading import connecting_of, given_in, heard_of
from raybundle.pipeline.past.runs import RunRecord, history, since
from raybundle.publish.bundles import open_configured
from raybundle.publish.catalogue import list_bundles, tag_bundle
from raybundle.publish.runs.listing import Wanted
from raybundle.publish.runs.records import read_events, require_recorded

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from raybundle.publish.catalogue import Listed
    from raybundle.publish.runs.marks import Row


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
    store = open_configured(given_in(options).settings(), os.environ)
    return tag_bundle(store, ref, name, heard_of(options).warn)[1]


@takes(RunsKeywords)
def runs(**options: Unpack[RunsKeywords]) -> tuple[Row, ...]:
    """Returns the runs of the store, the oldest first.

    Args:
        options: as `raybundle.api.job_keywords.RunsKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        StoreError: the store cannot be used, or has no such bundle.
    """
    heard = heard_of(options)
    wanted = Wanted(
        options.get("of_name"),
        options.get("status"),
        options.get("user"),
        since(options.get("since")),
        options.get("bundle"),
    )
    connecting = connecting_of(options, given_in(options).settings(), heard)
    return tuple(history(connecting, wanted, heard, refreshed=bool(options.get("refresh")))[1])


@takes(StoreKeywords)
def show_run(run_id: str, **options: Unpack[StoreKeywords]) -> RunRecord:
    """Returns what the store knows of a run.

    Args:
        run_id: the submission id.
        options: as `raybundle.api.keywords.StoreKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        StoreError: the store has no such run, or cannot be used.
    """
    require("run_id", run_id, str)
    store = open_configured(given_in(options).settings(), os.environ)
    run = require_recorded(store, run_id)
    return RunRecord(run, read_events(store, run))
