"""The graph of a bundle as JSON: kept beside the manifest to explain it, no part of its identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.bundle.layers.layer import Layer
    from raybundle.model import Resolution

SCHEMA_VERSION = 1


def graph_document(resolution: Resolution, layers: Iterable[Layer] = ()) -> dict[str, Any]:
    """Returns modules and edges with archive paths, so that it says nothing of the machine it was made on.

    Args:
        resolution: of the bundle.
        layers: of the bundle; a distribution that travels has the bytes of its layer's files.
    """
    sizes = {layer.name: layer.bytes for layer in layers}
    paths = {module.file: module.path for module in resolution.modules if module.file is not None}
    return {
        "schema_version": SCHEMA_VERSION,
        "modules": [
            {
                "name": module.name,
                "kind": module.kind,
                "root": module.root,
                "found_by": module.found_by,
                **({} if module.path is None else {"path": module.path}),
            }
            for module in resolution.modules
        ],
        "edges": [
            {
                "importer": edge.importer,
                "imported": edge.imported,
                "path": paths.get(edge.file) or "",
                "line": edge.line,
                "found_by": edge.found_by,
                "optional": edge.optional,
            }
            for edge in resolution.edges
        ],
        "distributions": [
            {
                "name": item.name,
                "version": item.version,
                "provided_by": item.provided_by,
                "modules": list(item.modules),
                **({"bytes": sizes[item.name]} if item.name in sizes else {}),
                **({"required_by": item.required_by} if item.required_by else {}),
                **({"imported_by": item.imported_by} if item.imported_by else {}),
                **({"origin": _origin(item.origin)} if item.origin else {}),
            }
            for item in resolution.distributions
        ],
    }


def _origin(url: str) -> str:
    """Returns where a distribution is from; of a file of this machine only its name."""
    return f"file:{url.rpartition('/')[2]}" if url.startswith("file:") else url
