"""JSON Schemas for editors, generated from the typed models."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from registry.declaration import FOLDERS
from registry.method import load_method, method_names
from registry.override import OverrideFile
from registry.profile import ValueProfile
from registry.profile_life import Event

FOLDER = "registry/schemas"


def schema_files() -> dict[str, bytes]:
    """Every schema by its path in the project."""
    files: dict[str, Any] = {}
    for model in FOLDERS.values():
        files[f"{FOLDER}/{model.kind}.schema.json"] = _declaration_schema(model)
    files[f"{FOLDER}/profile.schema.json"] = ValueProfile.model_json_schema()
    files[f"{FOLDER}/event.schema.json"] = Event.model_json_schema()
    files[f"{FOLDER}/override.schema.json"] = OverrideFile.model_json_schema()
    return {
        path: json.dumps(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **content}, indent=2
        ).encode()
        + b"\n"
        for path, content in files.items()
    }


def _declaration_schema(model: Any) -> dict[str, Any]:
    """A kind's schema, in which `params` follow the method that is named.

    Only Chorus' own methods are known here; other packages' parameters are checked when loaded.
    """
    schema: dict[str, Any] = model.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    rules = []
    for name in method_names():
        method = load_method(name)
        if method.kind != model.kind or not method.run.__module__.startswith("assets."):
            continue
        params: type[BaseModel] = method.params
        described = params.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= described.pop("$defs", {})
        definitions[f"params-{name}"] = described
        rules.append(
            {
                "if": {"properties": {"method": {"const": name}}},
                "then": {"properties": {"params": {"$ref": f"#/$defs/params-{name}"}}},
            }
        )
    return {**schema, "allOf": rules}
