"""Ray Data, Tune, Train and Serve, one after the other, from one bundle."""

import json
import logging

import ray

from parts import data, serving, training, tuning

if __name__ == "__main__":
    ray.init(log_to_driver=False, logging_level=logging.ERROR)
    report = {"data": data.run(), "tune": tuning.run(), "train": training.run(), "serve": serving.run()}
    print("REPORT " + json.dumps(report), flush=True)
