"""Cleans and scores ratings with Ray Data, then searches the best weight with Ray Tune."""

import logging
import sys

import ray
from ray.data import DataContext

from ratings.batches import clean
from ratings.scorer import Scorer
from ratings.search import search
from ratings.spread import spread
from ratings.tables import hotels

if __name__ == "__main__":
    here = {"num_cpus": 2, "include_dashboard": False} if "--local" in sys.argv else {}
    ray.init(**here, log_to_driver=False, logging_level=logging.ERROR)
    DataContext.get_current().enable_progress_bars = False
    cleaned = ray.data.from_pandas(hotels()).map_batches(clean, batch_format="pandas")
    scored = cleaned.map_batches(Scorer, compute=ray.data.ActorPoolStrategy(size=1), batch_size=2, batch_format="pandas")
    total = sum(row["score"] for row in scored.take_all())
    loss = search([0.25, 0.5])
    hosts = spread(["a", "b", "c"])
    print("RATED", f"{total:.2f}", f"{loss:.2f}", len(hosts))
