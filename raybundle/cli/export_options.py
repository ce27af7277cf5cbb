"""The options of `export`, `init`, `completion` and `report`: commands that write files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.cli.options import add_connection

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable


def add_export(parser: ArgumentParser) -> None:
    """Adds what `export` takes besides where the job starts."""
    formats = ["runtime-env", "rayjob", "raycronjob", "rayservice"]
    parser.add_argument("ref", metavar="REF")
    what = "JSON for --runtime-env-json, or YAML for KubeRay"
    parser.add_argument("--format", dest="kind", choices=formats, required=True, help=what)
    add = parser.add_argument_group("for KubeRay").add_argument
    add("--cluster-spec", metavar="FILE", help="YAML file with a RayCluster, or with its `spec`")
    add("--name", help="name of the resource (default: made of target and digest)")
    modes = ["HTTPMode", "K8sJobMode", "SidecarMode"]
    add("--mode", choices=modes, default="HTTPMode", help="how KubeRay submits the job (default: HTTPMode)")
    add("--schedule", metavar="CRON", help="of a raycronjob, such as '0 3 * * *'")
    add("--time-zone", metavar="ZONE", help="of the schedule, such as Europe/Berlin")
    add("--serve-config", metavar="FILE", help="of a rayservice: YAML file with its applications")


def add_init(parser: ArgumentParser) -> None:
    """Adds what `init` takes."""
    kinds = ["airflow", "github", "gitlab", "iam", "jenkins", "kuberay", "notebook", "project", "serve"]
    parser.add_argument("template", metavar="KIND", choices=kinds, help=", ".join(kinds))
    parser.add_argument("directory", metavar="DIR", nargs="?", default=".", help="where (default: here)")
    parser.add_argument("--diff", action="store_true", help="write nothing; show how files there differ")
    parser.add_argument("--force", action="store_true", help="overwrite files that differ")


def add_completion(parser: ArgumentParser) -> None:
    """Adds what `completion` takes."""
    parser.add_argument("shell", choices=["bash", "zsh", "fish"])


def add_report_command(add: Callable[[str, str, str], ArgumentParser]) -> ArgumentParser:
    """Adds the command and returns its parser; other commands that take a target share its options."""
    text = "Write a bundle, or a run of it, as one page for a browser: sizes, imports, path, changes, time."
    report = add("report", text, "report [options] TARGET|REF|RUN -o FILE.html")
    report.add_argument("words", nargs="+", metavar="TARGET|REF|RUN")
    report.add_argument("-m", dest="module_target", action="store_true", help="TARGET is a module")
    report.add_argument("-o", "--output", required=True, metavar="FILE", help="write the page to this file")
    since = "show what changed since a commit, or since a bundle of the store"
    report.add_argument("--against", metavar="GIT_REF|REF", help=since)
    nodes = "also show the path of every process on the nodes: stores the bundle, and asks as `path` does"
    report.add_argument("--nodes", action="store_true", help=nodes)
    add_connection(report)
    return report
