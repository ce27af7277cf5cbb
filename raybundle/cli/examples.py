"""What `--help` says after the options: what TARGET and REF are, and lines to begin with."""

from __future__ import annotations

_TARGET = """\
TARGET is a script, a directory with a __main__.py, a notebook, or a console
script of the project. `-m MODULE` runs a module, as `python -m` does. Options
stand before it; words after it belong to the job.

"""
_REF = """\
REF is the digest of a bundle, at least 8 digits of it, `name`, `name@3`,
`name@{2026-11-26}`, or the ID of a run.

"""
_ENDS = """\
Each of the two is a bundle or a run of the store: a digest, at least 8 digits
of it, `name`, `name@3`, `name@{2026-11-26}`, or the id of a run.

"""
_SERVE = """\
APP is MODULE:ATTRIBUTE, an application or a function that returns one, which
gets the words KEY=VALUE; several of them; or a configuration of Ray Serve,
YAML or JSON, in which each application without a bundle gets one.

"""
_TAKES = {
    "serve": _SERVE,
    **dict.fromkeys(("submit", "plan", "build", "why", "trace", "doctor", "path", "report"), _TARGET),
    **dict.fromkeys(("diff", "bisect"), _ENDS),
    **dict.fromkeys(("run", "show", "export", "pull", "verify", "tag", "sign", "patch"), _REF),
}
_JOB = "rb-20261126-215712-2ac0f3d1"
EXAMPLES = {
    "submit": (
        "submit train.py --epochs 2",
        "submit --entrypoint-num-gpus 1 --env SEED=7 -m trainer.main",
        "submit --name train train.py",
        "submit -- SEED=7 uv run train.py --epochs 2",
    ),
    "plan": (
        "plan train.py",
        "plan --format markdown -m trainer.main",
        "plan --against main --exit-code train.py serve.py",
    ),
    "build": ("build train.py", "build --name train --store s3://bucket/bundles train.py"),
    "why": ("why train.py pandas", "why --all train.py features.scale"),
    "report": ("report train.py -o report.html", "report train@3 --against train@1 -o report.html"),
    "trace": ("trace train.py --epochs 1", "trace --continue train.py --mode predict"),
    "run": ("run train@3 --epochs 2", "run --here train@3 --epochs 2", "run --here train@3 -- python"),
    "bisect": (
        "bisect --here train@2 train@3",
        "bisect --jobs 2 train@2 train@3 -- grep -q 'loss: 0'",
    ),
    "diff": ("diff train@2 train@3", "diff --stat train@3"),
    "verify": ("verify train@3", "verify --rebuild train@3"),
    "store": ("store probe s3://bucket/bundles", "store probe"),
    "check": ("check", "check --read-data --store s3://bucket/bundles"),
    "gc": ("gc", "gc --delete", "gc --forget-runs-older-than 90d --keep-runs 100"),
    "show": ("show train@3", "show --sbom train@3", f"show {_JOB}"),
    "pull": ("pull train@3 train-3", "pull --layers train@3 train-3"),
    "patch": (f"patch {_JOB}", "patch --against main train@3"),
    "sign": ("sign --key key.pem train@3", "sign --key key.pem --as train@3 5f2c9a1b"),
    "bundles": ("bundles",),
    "rerun": (f"rerun {_JOB}", f"rerun --args '--epochs 3' --env SEED=8 {_JOB}"),
    "runs": ("runs --since 7d", "runs --name train --status FAILED", "runs --refresh"),
    "tag": ("tag 5f2c9a1b production", "tag train@3 train"),
    "export": (
        "export --format runtime-env train@3",
        "export --format rayjob --cluster-spec cluster.yaml train@3 -- --epochs 2",
        "export --format raycronjob --cluster-spec cluster.yaml --schedule '0 3 * * *' train@3",
    ),
    "list": ("list", "list --status FAILED --since 1d"),
    "status": (f"status {_JOB}",),
    "logs": (f"logs -f {_JOB}",),
    "attach": (f"attach --timeout 2h {_JOB}",),
    "stop": (f"stop {_JOB}",),
    "delete": (f"delete {_JOB}",),
    "doctor": ("doctor", "doctor train.py", "doctor --watch train@3"),
    "path": ("path train.py", "path --plain train.py", "path --module features.scale train.py"),
    "serve": (
        "serve build app:graph -o serve.yaml",
        "serve deploy --name fraud --route-prefix /fraud fraud.api:build threshold=0.8",
        "serve deploy --timeout 10m serve.yaml",
        "serve status",
    ),
    "local": ("local up --num-cpus 4", "local down"),
    "init": ("init github", "init kuberay deploy", "init --diff gitlab"),
    "completion": ("completion bash", "completion fish"),
    "config": ("config show",),
    "node": ("node verify", "node clean"),
}
"""Command lines by command."""


def epilog(command: str) -> str:
    """Returns the end of a command's help."""
    lines = "".join(f"  raybundle {each}\n" for each in EXAMPLES[command])
    return f"{_TAKES.get(command, '')}examples:\n{lines}"
