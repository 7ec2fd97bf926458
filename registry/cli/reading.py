"""`chorus list`, `show` and `status`: what exists, and where it stands."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import typer

from registry.cli.output import Json, print_json, print_rows

if TYPE_CHECKING:
    from registry.graph import Graph, Node

_PANEL = "Look"
_ONLY = {"great expectations": " [checked by Great Expectations alone]"}


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command("list", rich_help_panel=_PANEL)(list_nodes)
    app.command("show", rich_help_panel=_PANEL)(show_node)
    app.command("status", rich_help_panel=_PANEL)(show_status)


def load() -> Graph:
    """The graph of the project that holds the working directory."""
    from registry.graph import load_graph

    return load_graph()


def list_nodes(json: Json = False) -> None:
    """List every node: what is declared, for which community."""
    graph = load()
    nodes = [_summary(node) for node in graph.nodes.values()]
    if json:
        print_json(nodes=nodes, waiting=dict(graph.waiting))
    else:
        print_rows([("NODE", "KIND", "METHOD", "DESCRIPTION"), *(_line(n) for n in nodes)])
        if graph.waiting:
            print_rows([("",), ("WAITS", "FOR"), *graph.waiting.items()])


def _summary(node: Node) -> dict[str, Any]:
    return {
        "node": node.id,
        "kind": node.declaration.kind,
        "method": node.declared.method.name,
        "community": node.community,
        "description": node.declaration.description,
    }


def _line(summary: dict[str, Any]) -> tuple[str, str, str, str]:
    text = summary["description"]
    short = textwrap.shorten(text, width=72, placeholder=" ...")
    return summary["node"], summary["kind"], summary["method"], short


def show_node(node: str, json: Json = False) -> None:
    """Show one node: its inputs, parameters, permissions, contract and status."""
    from registry.status import status
    from registry.thresholds import judge

    graph = load()
    chosen = graph.node(node)
    everything = status(graph)
    standing, judged = everything[chosen.id], judge(graph, chosen, everything)
    declaration = chosen.declaration
    summary = _summary(chosen) | {
        "declared_in": chosen.declared.document.path,
        "overridden": _overridden(chosen),
        "artifact": chosen.path,
        "status": {"state": standing.state, "reasons": list(standing.reasons)},
        "inputs": [{"role": e.role, "node": e.node} for e in chosen.edges],
        "params": chosen.declared.params.model_dump(mode="json"),
        "seed": declaration.seed,
        "permissions": graph.permissions(chosen),
        "contract": [e.model_dump(mode="json", exclude_none=True) for e in declaration.contract],
        "thresholds": [one.model_dump(mode="json") for one in judged],
        "licence": declaration.licence,
        "resources": declaration.resources.model_dump(mode="json"),
    }
    if json:
        print_json(**summary)
        return
    apart = ("contract", "overridden", "thresholds")
    rows = [(key, _plain(value)) for key, value in summary.items() if key not in apart]
    rows += [("overridden", f"{key} by {place}") for key, place in summary["overridden"].items()]
    rows += [
        (
            "contract",
            f"{e.severity}: {e.expect} in {e.table} ({e.reason}){_ONLY.get(e.checker, '')}",
        )
        for e in declaration.contract
    ]
    rows += [
        ("threshold", f"{'reached' if j.reached else 'not reached'}: {j.demand}: {j.found}")
        for j in judged
    ]
    print_rows(rows)


def _overridden(node: Node) -> dict[str, str]:
    """What an override changes, each with the place that says so."""
    found = node.declared.overridden
    if found is None:
        return {}
    return {".".join(map(str, key)): str(place) for key, place in found.changes()}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        if set(value) == {"state", "reasons"}:
            return ": ".join([value["state"], *value["reasons"]])
        return ", ".join(f"{k}={v}" for k, v in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(f"{e['role']}={e['node']}" for e in value) or "none"
    return "none" if value is None else str(value)


def show_status(json: Json = False) -> None:
    """Show where every node stands: missing, unrecorded, stale (and why) or current."""
    from registry.status import status
    from registry.store import drift

    graph = load()
    found, drifted = status(graph), drift(graph)
    if json:
        nodes = [
            {"node": s.node, "state": s.state, "reasons": list(s.reasons)} for s in found.values()
        ]
        print_json(nodes=nodes, waiting=dict(graph.waiting), out_of_date=drifted)
        return
    print_rows([(s.node, s.state, "; ".join(s.reasons)) for s in found.values()])
    states = [s.state for s in found.values()]
    counts = [
        f"{states.count(state)} {state}"
        for state in ("missing", "unrecorded", "stale", "current")
        if states.count(state)
    ]
    print_rows([(f"{len(states)} nodes: " + ", ".join(counts),)])
    if graph.waiting:
        print_rows([(f"{len(graph.waiting)} declarations wait for a community: `chorus list`",)])
    if drifted:
        print_rows([("out of date, run `chorus sync`: " + ", ".join(drifted),)])
