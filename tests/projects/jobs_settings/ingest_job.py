"""Takes in three feeds with the backend and the steps that the settings choose."""

import sys

from ingest.feeds import FEEDS
from ingest.spread import spread


def take_in(feed):
    from ingest.service import Service

    return feed, Service.from_settings().run(feed)


if __name__ == "__main__":
    counts = spread(take_in, FEEDS, local="--local" in sys.argv)
    print("INGESTED", " ".join(f"{feed}={count}" for feed, count in counts))
