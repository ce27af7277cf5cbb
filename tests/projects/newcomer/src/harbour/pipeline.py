import csv
import pickle
import sqlite3
from importlib.metadata import entry_points
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
QUERY = ROOT / "sql" / "by_port.sql"


def run_steps(config):
    with open(config["arrivals"]) as file:
        rows = list(csv.DictReader(file))
    with open(config["model"], "rb") as file:
        model = pickle.load(file)
    steps = {each.name: each for each in entry_points(group="harbour.steps")}
    for name in config["steps"]:
        rows = steps[name].load()(rows, model)
    return rows


def by_port(rows):
    with sqlite3.connect(":memory:") as base:
        base.execute("create table arrivals (port text, hours real)")
        base.executemany("insert into arrivals values (?, ?)", [(row["port"], row["hours"]) for row in rows])
        return base.execute(QUERY.read_text()).fetchall()


def port_names():
    return yaml.safe_load((ROOT / "configs/ports.yaml").read_text())
