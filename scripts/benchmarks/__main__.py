"""Measures what raybundle costs, beside plain Ray, on a cluster of its own."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import airflow_cost
import boot_cost
import graph_cost
import help_cost
import install_cost
import large_tree
import layer_cost
import log_latency
import stage_cost
import table
import trivial_job
import uv_cost
from compare import compare

from raybundle.cluster.embedded import cluster
from raybundle.cluster.embedded.token import token_variables

NAMES = ("help", "resolve", "graph", "boot", "job", "log", "stages")
ON_REQUEST = ("layers", "uv", "data", "history", "stored", "gc", "airflow", "report", "nodes", "install")
"""They take minutes and gigabytes, need root, the package index, or the servers of the tests."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--only", choices=NAMES + ON_REQUEST, action="append", help="again for more than one")
    parser.add_argument("--mebibytes", type=int, default=256, help="for `data`")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--environment", type=Path, help="for `layers`: has pandas and scikit-learn")
    parser.add_argument(
        "--node-environment", type=Path, help="for `layers`, `nodes` and `uv`: has Ray, boto3, smart_open"
    )
    parser.add_argument(
        "--airflow-environment", type=Path, default=Path(sys.prefix, "airflow"), help="for `airflow`"
    )
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument(
        "--compare", metavar="COMMIT", help="measures this commit and the tree in turn, and prints ratios"
    )
    parser.add_argument("--record", action="store_true", help="puts the figures into docs/performance.json")
    parser.add_argument("--table", action="store_true", help="only writes the table of docs/performance.md")
    return parser.parse_args()


def own_environment(work: Path) -> dict[str, str]:
    """Ours without what configures raybundle; state, store and cache lie in `work`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAYBUNDLE_")}
    folders = {f"XDG_{kind}_HOME": str(work / kind.lower()) for kind in ("CONFIG", "DATA", "CACHE", "STATE")}
    return {**kept, **folders}


def measure(  # noqa: C901, PLR0912 - one figure after another
    options: argparse.Namespace, work: Path
) -> dict[str, dict[str, Any]]:
    names, rounds = tuple(options.only or NAMES), options.rounds
    environ = own_environment(work)
    os.environ.clear()
    os.environ.update(environ)
    results: dict[str, dict[str, Any]] = {}
    if "help" in names:
        results["help"] = help_cost.measure(environ, rounds)
    if "resolve" in names:
        results["resolve"] = large_tree.measure(work, environ, rounds)
    results |= with_servers(names, options, work, environ)
    if "graph" in names:
        results["graph"] = graph_cost.measure(work, environ, rounds)
    if "layers" in names:
        given = options.environment, options.node_environment
        results["layers"] = layer_cost.measure(environ, rounds, *given)
    if "airflow" in names:
        results["airflow"] = airflow_cost.measure(work, environ, options.airflow_environment, rounds)
    if "install" in names:
        results["install"] = install_cost.measure(work, environ, rounds)
    if "uv" in names:
        results["uv"] = uv_cost.measure(environ, options.node_environment)
    if not {"boot", "job", "log", "stages"}.isdisjoint(names):
        try:
            address = cluster.up(sys.executable).address
            environ = {**environ, **token_variables()}  # for `ray job submit`
            if "boot" in names:
                results["boot"] = boot_cost.measure(work, environ, rounds)
            if "job" in names:
                results["job"] = trivial_job.measure(work, environ, rounds, address)
            if "log" in names:
                results["log"] = log_latency.measure(work, environ, rounds)
            if "stages" in names:
                results["stages"] = stage_cost.measure(work, environ, rounds, address)
        finally:
            cluster.down()
    return results


def with_servers(
    names: tuple[str, ...], options: argparse.Namespace, work: Path, environ: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Returns the figures that need the servers of the tests."""
    results: dict[str, dict[str, Any]] = {}
    sys.path.append(str(Path(__file__).parents[2]))
    if "data" in names:
        import data_cost  # noqa: PLC0415 - only with the tests on the path

        results["data"] = data_cost.measure(work, environ, options.mebibytes)
    if "history" in names:
        import history_cost  # noqa: PLC0415 - as above

        results["history"] = history_cost.measure(options.rounds)
    if "stored" in names:
        import stored_cost  # noqa: PLC0415 - as above

        results["stored"] = stored_cost.measure(work, environ, options.rounds)
    if "gc" in names:
        import gc_cost  # noqa: PLC0415 - as above

        results["gc"] = gc_cost.measure(options.rounds)
    if "report" in names:
        import report_cost  # noqa: PLC0415 - as above

        results["report"] = report_cost.measure(work, environ, options.rounds)
    if "nodes" in names:
        import nodes_cost  # noqa: PLC0415 - as above

        results["nodes"] = nodes_cost.measure(work, environ, options.rounds, options.node_environment)
    return results


def machine() -> dict[str, Any]:
    return {
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def compared(options: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """Prints the figures of a commit beside those of this tree, and returns them."""
    given = {name: value for name, value in vars(options).items() if value is not None}
    words = [word for each in given.get("only", NAMES) for word in ("--only", each)]
    for name in ("mebibytes", "environment", "node_environment"):
        if name in given:
            words += [f"--{name.replace('_', '-')}", str(given[name])]
    found = compare(options.compare, words, options.rounds, work)
    print(f"  {'figure':<36} {options.compare[:10]:>10} {'now':>10} {'ratio':>7}  least to greatest")
    for each in found:
        print(each.line)
    return [asdict(each) for each in found]


def main() -> None:
    options = arguments()
    if options.table:
        table.write(table.load())
        return
    before = machine()
    with tempfile.TemporaryDirectory(prefix="rb-bench-") as work:
        results: Any = compared(options, Path(work)) if options.compare else measure(options, Path(work))
    after = machine()
    for name, figures in results.items() if not options.compare else ():
        print(name)
        for figure, value in figures.items():
            print(f"  {figure:<24} {value!s:>10}")
    print(f"{before['cpus']} CPUs, load {before['load'][0]} before and {after['load'][0]} after")
    document = {"schema_version": 1, "before": before, "after": after, "results": results}
    text = json.dumps(document, indent=2)
    if options.output:
        options.output.write_text(f"{text}\n", encoding="utf-8")
    if options.record and not options.compare:
        print(f"{table.record(rows := table.load(), document)} rows of docs/performance.md are new")
        stages = document["results"].get("stages")
        table.write(rows, stages and {**stages, "taken": table.taken(document)})
    if not options.compare:
        print(text)


if __name__ == "__main__":
    main()
