"""The graph of a bundle as JSON. It explains the bundle, but is not a part of its identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.bundle.layers.layer import Layer
    from raybundle.model import Distribution, Edge, Module, Resolution

SCHEMA_VERSION = 1


def graph_document(resolution: Resolution, layers: Iterable[Layer] = ()) -> dict[str, Any]:
    """Returns the modules, edges and distributions, without paths of this machine.

    Args:
        resolution: of the bundle.
        layers: of the bundle; their sizes are the `bytes` of the distributions that travel.
    """
    sizes = {layer.name: layer.bytes for layer in layers}
    paths = {module.file: module.path for module in resolution.modules if module.file is not None}
    return {
        "schema_version": SCHEMA_VERSION,
        "modules": [_module(each) for each in resolution.modules],
        "edges": [_edge(each, paths.get(each.file) or "") for each in resolution.edges],
        "distributions": [_distribution(each, sizes.get(each.name)) for each in resolution.distributions],
    }


def _module(module: Module) -> dict[str, Any]:
    path = {} if module.path is None else {"path": module.path}
    return {
        "name": module.name,
        "kind": module.kind,
        "root": module.root,
        "found_by": module.found_by,
        **path,
    }


def _edge(edge: Edge, path: str) -> dict[str, Any]:
    return {
        "importer": edge.importer,
        "imported": edge.imported,
        "path": path,
        "line": edge.line,
        "found_by": edge.found_by,
        "optional": edge.optional,
    }


def _distribution(item: Distribution, size: int | None) -> dict[str, Any]:
    optional = {
        "bytes": size,
        "required_by": item.required_by or None,
        "imported_by": item.imported_by or None,
        "origin": _origin(item.origin) or None,
    }
    return {
        "name": item.name,
        "version": item.version,
        "provided_by": item.provided_by,
        "modules": list(item.modules),
        **{name: value for name, value in optional.items() if value is not None},
    }


def _origin(url: str) -> str:
    """Returns where a distribution is from. Of a local file, only the name."""
    return f"file:{url.rpartition('/')[2]}" if url.startswith("file:") else url
