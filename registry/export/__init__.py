"""Lineage in forms that other programs read: a table of formats, each a function of the walk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from registry.errors import UsageError
from registry.export.mermaid import as_mermaid
from registry.export.openlineage import as_openlineage
from registry.export.plain import as_json
from registry.export.walked import Walked, walked
from registry.ground import Ground

FORMATS: Mapping[str, Callable[[Walked], str]] = {
    "json": as_json,
    "mermaid": as_mermaid,
    "openlineage": as_openlineage,
}


def write(form: str, ground: Ground, node: str, root: Path) -> str:
    """The lineage of a node in a format; raises UsageError on one that is not known."""
    if form not in FORMATS:
        raise UsageError(
            f"no format is called {form!r}",
            mend=f"formats: {', '.join(FORMATS)}, croissant, cyclonedx",
        )
    return FORMATS[form](walked(ground, node, root))
