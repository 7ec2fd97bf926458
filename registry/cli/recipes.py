"""`chorus recipe`: chains of declarations, and which model and size each runs with."""

from __future__ import annotations

from typing import Annotated

import typer

from registry.cli.output import Json, print_json, print_rows, say

recipe_app = typer.Typer(
    help="Chains of declarations, and the model and size that each runs with.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.add_typer(recipe_app, name="recipe", rich_help_panel="Make")


@recipe_app.command("list")
def list_recipes(json: Json = False) -> None:
    """List the recipes, their overrides, and which of these holds."""
    from registry.override import active_of, overrides_of
    from registry.project import load_project

    project = load_project()
    active, _, _ = active_of(project.root)
    known = overrides_of(project.root)
    names = sorted({d.recipe for d in project.declarations.values() if d.recipe} | set(known))
    found = [
        {
            "recipe": name,
            "override": active.get(name),
            "overrides": known.get(name, []),
            "declarations": [d.name for d in project.declarations.values() if d.recipe == name],
        }
        for name in names
    ]
    if json:
        print_json(recipes=found)
        return
    rows = [("RECIPE", "IN FORCE", "OVERRIDES", "DECLARATIONS")]
    rows += [
        (
            str(one["recipe"]),
            str(one["override"] or "as declared"),
            ", ".join(one["overrides"] or ()) or "none",
            str(len(one["declarations"] or ())),
        )
        for one in found
    ]
    print_rows(rows)


@recipe_app.command()
def use(
    recipe: Annotated[str, typer.Argument(help="The recipe's name; see `chorus recipe list`.")],
    override: Annotated[
        str | None, typer.Argument(help="The override's name; none: as it is declared.")
    ] = None,
    json: Json = False,
) -> None:
    """Let an override of a recipe hold, or none; refused where it does not fit."""
    from registry.artifact import one_at_a_time
    from registry.graph import build_graph
    from registry.override import ACTIVE, chosen_instead, write_active
    from registry.project import find_root, load_project
    from registry.store import sync

    root = find_root()
    with one_at_a_time(root, "recipe"):
        active = chosen_instead(root, recipe, override)
        graph = build_graph(load_project(root, active))
        write_active(root, active)
        changed = [ACTIVE, *sync(graph)]
    named = [d for d in graph.project.declarations.values() if d.recipe == recipe]
    differing = [d.name for d in named if d.overridden]
    if json:
        print_json(recipe=recipe, override=override, changed=differing, wrote=changed)
        return
    if override:
        print_rows([(f"{recipe} now runs with {override}: it changes {', '.join(differing)}",)])
    else:
        print_rows([(f"{recipe} now runs as it is declared",)])
    for path in changed:
        say(f"wrote {path}")
