"""The parts list of a bundle as CycloneDX 1.6, without time and host: one bundle gives the same bytes."""

from __future__ import annotations

import json
import re
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from raybundle.bundle.values import ModuleEntry
from raybundle.errors import UNREADABLE, StoreError, UsageError
from raybundle.publish.layout import graph_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from raybundle.bundle.values import Manifest
    from raybundle.publish.stored import Stored
    from raybundle.store.base import Store

NAMESPACE = uuid.UUID("6f1b7f2c-6f0e-5c47-9b43-0a7e5e4d5c11")
"""Of the serial numbers, which come from digests."""
_NAME = re.compile(r"[\[ ]")
"""Ends the name of a distribution in `pandas[parquet]` and `sqlalchemy (sqlalchemy.dialects)`."""


def sbom(store: Store, stored: Stored) -> dict[str, Any]:
    """Returns the CycloneDX document of a bundle of the store.

    What requires what is from the graph of the bundle, which has one reason for each distribution. If the
    store has lost it, the target depends on all.

    Raises:
        UsageError: cyclonedx-python-lib is not installed.
    """
    try:
        from cyclonedx.model.bom import Bom
        from cyclonedx.output.json import JsonV1Dot6
    except ImportError as error:
        raise UsageError(
            "`--sbom` needs cyclonedx-python-lib, which is not installed",
            hint="`pip install 'raybundle[sbom]'`",
        ) from error
    serial = uuid.uuid5(NAMESPACE, stored.digest)
    graph = _distributions(store, stored)
    application, python = _application(stored), _python(stored.manifest)
    libraries = {each.name: each for each in _libraries(stored.manifest, graph)}
    bom = Bom(components=[python, *libraries.values(), *_files(stored.manifest)], serial_number=serial)
    bom.metadata.component = application
    users = {name: _user(graph.get(name, {})) for name in libraries}
    direct = [each for name, each in libraries.items() if users[name] not in libraries]
    bom.register_dependency(application, [*direct, python])
    for name, each in libraries.items():
        bom.register_dependency(each, [libraries[one] for one, user in users.items() if user == name])
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    document["metadata"].pop("timestamp", None)  # the library's own: when it was asked
    return document


def _user(facts: Mapping[str, Any]) -> str:
    """Returns the distribution that requires another; empty if first-party code imports that."""
    return "" if facts.get("modules") else _NAME.split(str(facts.get("required_by", "")))[0]


def _distributions(store: Store, stored: Stored) -> dict[str, dict[str, Any]]:
    with suppress(StoreError, *UNREADABLE):
        graph = json.loads(store.get(graph_key(stored.digest)))
        return {str(each["name"]): dict(each) for each in graph["distributions"]}
    return {}


def _application(stored: Stored) -> Any:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    target = stored.manifest.target
    return Component(
        name=target.name if isinstance(target, ModuleEntry) else str(target.path).removeprefix("project/"),
        type=ComponentType.APPLICATION,
        bom_ref=stored.digest,
        version=stored.digest,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=stored.digest.removeprefix("sha256:"))],
    )


def _python(manifest: Manifest) -> Any:
    from cyclonedx.model.component import Component, ComponentType

    python = manifest.python
    facts = {"abi": python.abi, "platform": python.platform, "libc": python.libc}
    return Component(
        name=python.implementation,
        version=python.minor,
        type=ComponentType.PLATFORM,
        bom_ref=f"python:{python.implementation}@{python.minor}",
        properties=_properties({name: value for name, value in facts.items() if value}),
    )


def _libraries(manifest: Manifest, graph: Mapping[str, Mapping[str, Any]]) -> Iterator[Any]:
    """Yields the distributions; the hash of one that travels is the digest of its layer."""
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component
    from packageurl import PackageURL

    for layer in manifest.layers:
        digest = layer.digest.removeprefix("sha256:")
        origin = str(graph.get(layer.name, {}).get("origin", ""))
        kind = {"git": "vcs_url", "hg": "vcs_url", "http": "download_url", "https": "download_url"}.get(
            origin.partition(":")[0].partition("+")[0]
        )
        purl = PackageURL("pypi", None, layer.name, layer.version, {kind: origin} if kind else None)
        yield Component(
            name=layer.name,
            version=layer.version,
            purl=purl,
            bom_ref=f"pkg:pypi/{layer.name}@{layer.version}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
            properties=_properties({"provided-by": "bundle", "layer": layer.digest}),
        )
    for each in manifest.provided:
        yield Component(
            name=each.name,
            version=each.version,
            purl=PackageURL("pypi", None, each.name, each.version),
            bom_ref=f"pkg:pypi/{each.name}",
            properties=_properties({"provided-by": "cluster"}),
        )


def _files(manifest: Manifest) -> Iterator[Any]:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    for file in manifest.files:
        facts = {"size": str(file.size), "executable": str(file.executable).lower()}
        yield Component(
            name=str(file.path),
            type=ComponentType.FILE,
            bom_ref=f"file:{file.path}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
            properties=_properties(facts),
        )


def _properties(facts: Mapping[str, str]) -> list[Any]:
    from cyclonedx.model import Property

    return [Property(name=f"raybundle:{name}", value=value) for name, value in facts.items()]
