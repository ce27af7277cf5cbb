"""`show --sbom`: what a bundle has, as CycloneDX that its own schema accepts."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from raybundle.model import ModuleName
from raybundle.publish.bundles import build
from raybundle.publish.layout import graph_key
from raybundle.reporting.sbom import sbom
from raybundle.store import Store, open_store
from tests.support.installed import install
from tests.support.layered import plan_with
from tests.support.small_project import tree
from tests.support.store_damage import remove
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.publish.stored import Stored


def by_ref(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["bom-ref"]: each for each in document["components"]}


def needs(document: dict[str, Any]) -> dict[str, set[str]]:
    return {each["ref"]: set(each.get("dependsOn", ())) for each in document["dependencies"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Stored]:
    """The target imports `one`, which requires `two`, and `given`, which the cluster provides."""
    directory = tmp_path_factory.mktemp("sbom")
    found = {name: install(directory / "site", name, {f"{name}.py": b""}) for name in ("one", "two", "given")}
    distributions = [
        replace(found["given"], provided_by="cluster", modules=(ModuleName("given"),)),
        replace(found["one"], modules=(ModuleName("one"),), origin="git+https://example.com/one@0f1e"),
        replace(found["two"], required_by="one[more]"),
    ]
    store = open_store(str(directory / "store"), {})
    return store, build(plan_with(directory, distributions, sites=[directory / "site"]), store)


def test_distributions_files_and_python_are_components_with_hashes_and_purls(
    made: tuple[Store, Stored],
) -> None:
    store, stored = made
    document = sbom(store, stored)
    found, one = by_ref(document), "pkg:pypi/one@1.0"

    assert {ref: each["type"] for ref, each in found.items()} == {
        "file:project/job.py": "file",
        "pkg:pypi/given": "library",
        one: "library",
        "pkg:pypi/two@1.0": "library",
        f"python:cpython@{sys.version_info[0]}.{sys.version_info[1]}": "platform",
    }
    assert found[one]["purl"] == "pkg:pypi/one@1.0?vcs_url=git%2Bhttps://example.com/one%400f1e"
    assert found["pkg:pypi/two@1.0"]["purl"] == "pkg:pypi/two@1.0"
    layers = {each.name: each.digest.removeprefix("sha256:") for each in stored.manifest.layers}
    assert found[one]["hashes"] == [{"alg": "SHA-256", "content": layers["one"]}]
    [file] = stored.manifest.files
    assert found["file:project/job.py"]["hashes"] == [{"alg": "SHA-256", "content": file.sha256}]
    assert document["metadata"]["component"]["bom-ref"] == stored.digest


def test_what_requires_what_is_from_the_graph(made: tuple[Store, Stored]) -> None:
    store, stored = made
    found = needs(sbom(store, stored))

    assert "pkg:pypi/two@1.0" not in found[stored.digest]
    assert found[stored.digest] >= {"pkg:pypi/one@1.0", "pkg:pypi/given"}
    assert found["pkg:pypi/one@1.0"] == {"pkg:pypi/two@1.0"}


def test_the_schema_of_cyclonedx_accepts_it_and_refuses_another(made: tuple[Store, Stored]) -> None:
    document = sbom(*made)
    schema = JsonStrictValidator(SchemaVersion.V1_6)

    assert schema.validate_str(json.dumps(document)) is None
    assert schema.validate_str(json.dumps({**document, "serialNumber": "none"})) is not None


def test_it_is_the_same_each_time_and_has_no_time(made: tuple[Store, Stored]) -> None:
    first, second = sbom(*made), sbom(*made)

    assert json.dumps(first) == json.dumps(second)
    assert "timestamp" not in first["metadata"]


def test_without_the_graph_the_target_depends_on_everything(
    made: tuple[Store, Stored], tmp_path: Path
) -> None:
    store, stored = made
    copy = open_store(str(tmp_path / "store"), {})
    for key in store.keys("bundles/"):
        copy.put_new(key, store.get(key))
    remove(copy, graph_key(stored.digest))

    found = needs(sbom(copy, stored))

    assert found[stored.digest] >= {"pkg:pypi/one@1.0", "pkg:pypi/two@1.0", "pkg:pypi/given"}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(sbom(copy, stored))) is None


@pytest.mark.slow
def test_the_command_prints_it_in_any_process_the_same(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", VIRTUAL_ENV=sys.prefix)
    files = {
        "job.py": "import pkg.a\nimport sortedcontainers\n",
        "pkg/a.py": "",
        "pyproject.toml": "[project]\n",
    }
    tree(work.directory, files)
    digest = work.build("--name", "job", "job.py")

    shown = [
        work.raybundle("show", "--sbom", ref, env={"PYTHONHASHSEED": seed})
        for ref, seed in ((digest, "1"), ("job", "2"))
    ]
    as_json = json.loads(work.raybundle("--json", "show", "--sbom", "job").stdout)

    assert shown[0].stdout == shown[1].stdout
    assert as_json["sbom"] == json.loads(shown[0].stdout)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(shown[0].stdout) is None
    assert as_json["bundle"] == digest
