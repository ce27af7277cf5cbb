"""The command lines that the pages show, and where each of them runs in a test."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_SHELL = {"", "bash", "sh", "console"}
_INDENTED = re.compile(r"^    (raybundle .*)$", re.MULTILINE)
_COMMENT = re.compile(r"\s+#\s.*$")
_CALL = re.compile(r"(?:^|\$\(|\| )raybundle ")

ON_DISK = (
    "raybundle plan job.py",
    "raybundle why job.py helpers.gpu",
    "raybundle report job.py -o report.html",
    "raybundle report train.py -o report.html",
    "raybundle diff train@1 train@2",
    "raybundle runs --since 7d",
    "raybundle runs --name fraud --status FAILED",
    "raybundle completion bash > ~/.local/share/bash-completion/completions/raybundle",
    "raybundle completion fish > ~/.config/fish/completions/raybundle.fish",
    "raybundle plan --against main train.py serve.py -m reports.daily",
    "raybundle build --name train train.py",
    'digest="$(raybundle build job.py)"',
    "raybundle pull train@3 train-3",
    "raybundle pull --layers train@3 train-3",
    "raybundle run --here train@3 --epochs 1",
    "raybundle run --here train@3 -- python",
    "raybundle run --here train@3 -- python -c 'import trainer.model'",
    "raybundle diff train@2 train@3",
    "raybundle diff train@3",
    "raybundle verify train@3",
    "raybundle verify --rebuild train@3",
    "raybundle check",
    "raybundle check --read-data",
    "raybundle build --name poems job.py",
    "digest=$(raybundle build --name fraud job.py)",
)
"""Run as they are, in bash, by tests/integration/disk/cli/test_shown_commands.py."""

IN_THE_CLONE = ("raybundle why examples/feature_pipeline/pipeline.py timeseries.windows",)
"""Run by the same file, in this repository."""

_EMBEDDED, _NODES = "tests/integration/cluster/embedded", "tests/integration/nodes"
_SUBMIT = f"{_EMBEDDED}/test_submit.py::test_jobs_can_be_listed_asked_and_read_without_waiting"
_RUN = f"{_EMBEDDED}/test_submit.py::test_a_run_repeats_a_named_bundle_with_other_arguments"
_REPEATED = f"{_EMBEDDED}/test_history.py::test_a_run_is_repeated_by_somebody_who_has_only_the_store"
_SECRET = (
    "tests/integration/cluster/separate/test_secrets.py::"
    "test_a_secret_is_in_every_process_of_a_job_and_in_nothing_that_others_can_read"
)
_PRINTED = f"{_EMBEDDED}/test_schemas.py::test_what_a_command_prints_fits_its_schema"
_PATHS = f"{_NODES}/test_path.py::test_what_plain_ray_fails_to_import_is_predicted_and_the_bundle_imports_all"
_DOCTOR = f"{_EMBEDDED}/test_doctor.py::test_a_healthy_cluster_runs_the_bundle"
_WHY = "tests/integration/disk/explain/test_why.py::test_what_is_not_in_has_a_nearest_reason"
_NIGHTLY = 'raybundle --json run --submission-id "nightly-$BUILD_NUMBER" --timeout 2h "$digest" > result.json'
ELSEWHERE = {
    **dict.fromkeys(
        (
            "raybundle submit job.py",
            "raybundle submit job.py 5",
            "raybundle submit job.py --epochs 2",
            "raybundle submit examples/quickstart/job.py",  # scripts/demo runs it too
            "raybundle submit examples/quickstart/job.py 5",
            "raybundle logs ID -f",
            "raybundle list",
        ),
        _SUBMIT,
    ),
    **dict.fromkeys(
        (
            "raybundle run 7cd844d7",
            "raybundle run 8a8a1240 3",
            "raybundle --quiet run poems 1",
            _NIGHTLY,
        ),
        _RUN,
    ),
    **dict.fromkeys(
        (
            "raybundle rerun rb-20261126-215712-2ac0f3d1",
            "raybundle rerun --args '--epochs 3' --env SEED=8 rb-20261126-215712-2ac0f3d1",
            "raybundle runs --bundle fraud@3 --user ann",
            "raybundle show rb-20261126-215712-2ac0f3d1",
        ),
        _REPEATED,
    ),
    **dict.fromkeys(
        (
            "raybundle submit --secret DB_PASSWORD=file:/run/secrets/db job.py",
            "raybundle submit --secret DB_PASSWORD=env:NODE_DB_PASSWORD job.py",
        ),
        _SECRET,
    ),
    **dict.fromkeys(
        ("raybundle path", "raybundle path job.py", "raybundle path train.py", "raybundle local down"),
        _PRINTED,
    ),
    **dict.fromkeys(
        (
            "raybundle path train@3",
            "raybundle path --plain train.py",
            "raybundle path --module features.scale train.py",
        ),
        _PATHS,
    ),
    **dict.fromkeys(
        (
            "raybundle doctor",
            "raybundle doctor train.py",
            "raybundle doctor train@3",
            "raybundle doctor --watch",
            "raybundle submit --check train.py",
        ),
        _DOCTOR,
    ),
    **dict.fromkeys(
        (
            "raybundle why job.py wordstat.counting",
            "raybundle why job.py tabulate",
            "raybundle why job.py notes.txt",
        ),
        _WHY,
    ),
    "raybundle diff --stat RUN_A RUN_B": (
        "tests/integration/disk/explain/test_diff.py::test_the_working_tree_is_the_other_end_if_there_is_one"
    ),
    'raybundle sign --key key.pem --as fraud@3 "$digest"': (
        "tests/integration/disk/store/test_signing.py::"
        "test_a_signed_bundle_is_found_by_digest_prefix_version_and_name"
    ),
    **dict.fromkeys(
        ("raybundle store probe", "raybundle store probe s3://bucket/bundles"),
        "tests/integration/disk/store/test_store_probe.py::"
        "test_a_good_store_has_all_properties_and_keeps_nothing_of_the_probe",
    ),
    **dict.fromkeys(
        (
            "raybundle serve deploy app:graph",
            "raybundle serve deploy serve.yaml",
            "raybundle serve shutdown",
            "raybundle serve status",
        ),
        "tests/integration/cluster/separate/test_serve.py::test_a_deploy_returns_when_every_application_runs",
    ),
    **dict.fromkeys(
        (
            "raybundle serve build serve.yaml -o deployed.yaml",
            "raybundle serve build --name shop-1 --route-prefix /v1 shop:graph -o shop-1.yaml",
        ),
        "tests/integration/disk/cli/test_serve_build.py::"
        "test_the_command_line_writes_what_the_library_returns",
    ),
    **dict.fromkeys(
        (
            "raybundle gc",
            "raybundle gc --delete",
            "raybundle gc --delete --forget-runs-older-than 90d",
            "raybundle gc --delete --forget-runs-older-than 90d --keep-runs 100",
        ),
        "tests/integration/disk/store/test_gc.py::"
        "test_what_nothing_leads_to_is_shown_and_only_removed_when_asked",
    ),
    "raybundle show --sbom train@3 > train-3.cdx.json": (
        "tests/integration/disk/store/test_sbom.py::"
        "test_distributions_files_and_python_are_components_with_hashes_and_purls"
    ),
    "raybundle patch rb-20261126-215712-2ac0f3d1 > run.patch": (
        "tests/integration/disk/explain/test_patch.py::"
        "test_it_gives_the_bundle_again_and_leaves_the_repository_alone"
    ),
    **dict.fromkeys(
        ("raybundle local up", 'eval "$(raybundle local env)"'),
        "tests/integration/cluster/embedded/test_functions.py",
    ),
    "raybundle bisect --here train@2 train@3": (
        f"{_EMBEDDED}/test_bisect.py::test_a_culprit_is_found_by_jobs_that_run_at_the_same_time"
    ),
    'ray job list --address "$(raybundle local status)"': (
        f"{_EMBEDDED}/test_second_user.py::test_rays_own_client_with_the_token_is_served"
    ),
    'raybundle completion zsh > "${fpath[1]}/_raybundle"': (
        "tests/integration/disk/cli/test_completion.py::test_commands_options_choices_and_files_are_completed"
    ),
    "raybundle export --format rayjob --cluster-spec cluster.yaml train -- --epochs 2 | kubectl apply -f -": (
        f"{_EMBEDDED}/test_kuberay.py::test_an_exported_rayjob_runs_through_the_shell_of_kuberays_submitter"
    ),
}
"""What needs a cluster or another shell, and the test that runs the command with words of its own."""
NOT_RUN = {
    "raybundle [--store URL] [--address URL] [--profile NAME] [--json] [--quiet] [--no-color] COMMAND …": (
        "it is a form"
    ),
    **dict.fromkeys(
        (
            "raybundle plan examples/training/train.py",
            "raybundle submit examples/training/train.py",
            "raybundle submit examples/training/train.py 8",
        ),
        "needs pandas, scikit-learn and pyarrow here; test_layers_nodes.py runs jobs with such layers",
    ),
    'raybundle submit examples/feature_pipeline/pipeline.py --output "$PWD/features.csv"': (
        "a test plans the example; the cluster adds nothing that test_submit.py does not show"
    ),
}
"""Lines that no test runs, and why not."""


def shown() -> Iterator[tuple[str, str]]:
    """Yields page and command line of each call of raybundle in a block, without its comment."""
    pages = [ROOT / "README.md"]
    for folder in ("docs", "examples", "templates"):
        pages += sorted((ROOT / folder).rglob("*.md"))
    for page in pages:
        text = page.read_text("utf-8")
        lines = [
            line for kind, block in _BLOCK.findall(text) if kind in _SHELL for line in block.splitlines()
        ]
        for line in (*lines, *_INDENTED.findall(text)):
            command = _COMMENT.sub("", line.strip()).removeprefix("$ ")
            if _CALL.search(command):
                yield page.relative_to(ROOT).as_posix(), command
