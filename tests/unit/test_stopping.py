"""What the job that withdraws another takes from it."""

from __future__ import annotations

from raybundle.cluster.runtime_env import render_runtime_env
from raybundle.cluster.stopping import bundle_alone
from raybundle.model import Digest


def test_the_job_that_withdraws_another_boots_its_bundle_on_a_node_that_does_not_have_it() -> None:
    whole = render_runtime_env(
        Digest(f"sha256:{'0' * 64}"),
        "b",
        "gcs://bundle.zip",
        {"SEED": "7"},
        {"TOKEN": "env:OTHER"},
        passed={"pip": ["x"], "worker_process_setup_hook": "a.hook"},
        layers=("gcs://layers.zip",),
        source="s3://bucket",
        delivery="d",
        cwd="jobs",
        signatures="signed",
    )

    assert bundle_alone(whole) == {
        "working_dir": "gcs://bundle.zip",
        "py_modules": ["gcs://layers.zip"],
        "env_vars": {
            "RAYBUNDLE_BOOT": "b",
            "RAYBUNDLE_DIGEST": f"sha256:{'0' * 64}",
            "RAYBUNDLE_DELIVERY": "d",
            "RAYBUNDLE_SOURCE": "s3://bucket",
            "RAYBUNDLE_CWD": "jobs",
            "RAYBUNDLE_SIGNATURES": "signed",
        },
    }
    assert bundle_alone({"working_dir": "gcs://other.zip", "env_vars": {"SEED": "7"}}) == {}
