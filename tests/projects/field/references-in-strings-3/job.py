import importlib
import json
import re
from pathlib import Path

import pipeline

DEFAULTS = {
    "reader": "pipeline/readers.py:read",
    "writer": "pkg:pipeline.writers#write",
    "metric": "pipeline.metrics.f1(average='macro')",
}


def load(reference):
    cleaned = re.sub(r"^(pkg:|py://)|\(.*\)$|\.py(?=:)", "", reference).replace("/", ".")
    module, name = re.fullmatch(r"([\w.]+)[.:#](\w+)", cleaned).groups()
    return getattr(importlib.import_module(module), name)


given = json.loads(Path("job.json").read_text())
references = [*DEFAULTS.values(), given["hook"], given["model"]["class_path"]]
print([load(each)() for each in references])
