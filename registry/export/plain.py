"""JSON: each manifest whole, and the edges between them."""

from __future__ import annotations

import json

from registry.export.walked import Walked


def as_json(walk: Walked) -> str:
    """Nodes with their manifests, and edges from input to user with the content that was read."""
    edges = [
        {"from": entry.node, "to": node, "role": entry.role, "content": entry.content}
        for node, manifest in walk.manifests.items()
        for entry in manifest.inputs
    ]
    whole = {
        "schema_version": 1,
        "node": walk.node,
        "revision": walk.revision or None,
        "nodes": {node: one.model_dump(mode="json") for node, one in walk.manifests.items()},
        "edges": edges,
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
