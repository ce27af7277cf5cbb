"""Says how two runs of one bundle went, and fails where the second was not warm."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

STAGES = ("resolve", "build", "upload", "submit", "queue", "run")


def summary(word: str, run: dict[str, Any]) -> str:
    seconds = "  ".join(f"{stage} {run['timings'][stage]:.2f}" for stage in STAGES)
    total = sum(run["timings"][stage] for stage in STAGES)
    return (
        f"{word:<6} {run['status']}, {run['files']} files, {run['bytes']} bytes, "
        f"{run['uploaded_bytes']} uploaded, {total:.1f} s\n       {seconds}"
    )


def main(first: str, second: str) -> int:
    cold, warm = (json.loads(Path(file).read_text(encoding="utf-8")) for file in (first, second))
    print(f"bundle {cold['bundle']}")
    print(summary("first", cold))
    print(summary("second", warm))
    runs = {"first": cold, "second": warm}
    problems = [f"the {word} run ended {run['status']}" for word, run in runs.items() if run["exit_code"]]
    problems += ["the digests differ"] * (cold["bundle"] != warm["bundle"])
    problems += ["the second run uploaded something"] * (warm["uploaded_bytes"] > 0)
    print("\n".join(f"error: {problem}" for problem in problems) or "the second run uploaded nothing")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
