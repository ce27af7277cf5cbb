"""Cluster specs for KubeRay, and the schemas of its resources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).resolve().parents[2].parent / "shared" / "data"
"""Beside the repository: made from KubeRay's CRDs, with unknown fields closed."""
SPEC = """\
# The team's cluster.
rayVersion: "2.60.0"
headGroupSpec:
  rayStartParams: {dashboard-host: 0.0.0.0}
  template:
    spec:
      containers:
      - name: ray-head
        image: rayproject/ray:2.60.0
        env:
        - {name: START, value: 12:30}   # a text for Kubernetes, and 750 for YAML 1.1
        - {name: MODE, value: !!str 0644}
        - name: LAST
          value: "on"
        args: &args
        - |
          first
            second
        - 'it''s'
workerGroupSpecs:
- groupName: small
  replicas: 1
  rayStartParams: {}
  template: {spec: {containers: [{name: ray-worker, image: "rayproject/ray:2.60.0", args: *args}]}}
"""
CLUSTER = "apiVersion: ray.io/v1\nkind: RayCluster\nmetadata: {name: team}\nspec:\n" + "".join(
    f"  {line}\n" for line in SPEC.splitlines()
)


def mounting(spec: str, directory: Path) -> str:
    """Returns the spec whose pods have a directory of their nodes at the same path."""
    mounts = f"volumeMounts: [{{name: store, mountPath: {directory}}}]"
    head = spec.replace("- name: ray-head\n", f"- name: ray-head\n        {mounts}\n")
    return head.replace("name: ray-worker,", f"name: ray-worker, {mounts},")


def faults(kind: str, resource: object) -> list[str]:
    """Returns what the schema of a kind refuses in a resource."""
    file = SCHEMAS / f"{kind}-v1.schema.json"
    if not file.exists():
        pytest.skip(f"the schemas of KubeRay are not in {SCHEMAS}")
    schema: Any = json.loads(file.read_text("utf-8"))
    return [error.message for error in Draft202012Validator(schema).iter_errors(resource)]
