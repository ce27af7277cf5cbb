import configparser
import csv
import json

from churn.paths import LABELS, PARAMS, RAW_DIR

ini = configparser.ConfigParser()
ini.read("settings.ini")
with (RAW_DIR / "points.csv").open(newline="") as stream:
    rows = list(csv.DictReader(stream))
print(ini["run"]["name"], rows[0]["x"], LABELS.read_text().split(), json.load(open(PARAMS))["depth"])
