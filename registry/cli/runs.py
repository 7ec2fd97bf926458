"""`chorus runs`: the attempts to make a node, with their curves side by side."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.cli.output import Json, print_json, print_rows, say
from registry.cli.reading import load
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.curves import Attempt, Curve

_WIDTH = 48
"""Characters of a curve, so that a line fits into 80 columns."""


def register(app: typer.Typer) -> None:
    """Adds this module's command."""
    app.command("runs", rich_help_panel="Look")(show_runs)


def show_runs(
    node: str,
    last: Annotated[
        int, typer.Option(min=0, help="How many attempts, the newest; 0 shows all.")
    ] = 10,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw the curves over each other, as PNG.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the attempts to make a node, with their curves side by side."""
    from registry.artifact import write_atomically
    from registry.curves import attempts_of, draw

    if plot is not None:
        _require_picture(plot)
    graph = load()
    chosen = graph.node(node)
    attempts = attempts_of(graph.project.state, chosen.id, last)
    if json:
        print_json(node=chosen.id, runs=[_as_json(one) for one in attempts])
    elif attempts:
        _print(attempts)
    else:
        say(f"{chosen.id} was never made here; `chorus make {chosen.id} --upstream` makes it")
    if plot is not None:
        write_atomically(plot, draw(chosen.id, attempts))
        say(f"wrote {plot}")


def _require_picture(path: Path) -> None:
    if path.suffix != ".png" or not path.parent.is_dir() or path.is_dir():
        raise UsageError(
            f"cannot draw into {path}",
            where="--plot",
            why="it must be a file whose name ends in .png, in a folder that is there",
            mend="name another file, such as --plot curves.png",
        )


def _as_json(attempt: Attempt) -> dict[str, Any]:
    standing = attempt.standing
    return attempt.run.model_dump(mode="json") | {
        "number": attempt.number,
        "done": standing.done,
        "total": standing.total,
        "tokens_per_second": attempt.tokens_per_second,
        "curves": {
            name: {"steps": curve.steps, "values": [_number(value) for value in curve.values]}
            for name, curve in attempt.curves.items()
        },
    }


def _number(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None


def _print(attempts: Sequence[Attempt]) -> None:
    from registry.curves import side_by_side

    if attempts[0].number > 1:
        say(f"{attempts[0].number - 1} earlier attempts are not shown; --last 0 shows all")
    rows = [("#", "STARTED (UTC)", "SECONDS", "DOOR", "STEPS", "LAST", "TOKENS/S", "OUTCOME")]
    print_rows([*rows, *(_row(one) for one in attempts)])
    _print_ran(attempts)
    for name, curves in side_by_side(attempts).items():
        _print_curves(name.replace("_", " "), curves)


def _print_ran(attempts: Sequence[Attempt]) -> None:
    """What attempts ran on, once for those that ran alike."""
    alike: dict[str, list[str]] = {}
    for one in attempts:
        if one.run.ran is not None:
            alike.setdefault(str(one.run.ran), []).append(str(one.number))
    for ran, numbers in alike.items():
        sys.stdout.write(f"{', '.join(numbers)} ran on {ran}\n")


def _row(attempt: Attempt) -> tuple[str, ...]:
    run, standing, speed = attempt.run, attempt.standing, attempt.tokens_per_second
    why = run.message.partition("\n")[0].removeprefix(f"{run.node}: ")
    return (
        str(attempt.number),
        run.started[:19].replace("T", " "),
        f"{run.seconds:.1f}" if run.seconds is not None else "",
        run.door,
        f"{standing.done}/{standing.total}" if standing.total is not None else "",
        standing.figure,
        f"{speed:,.0f}" if speed is not None else "",
        f"{run.outcome}: {why}" if why else run.outcome,
    )


def _print_curves(name: str, curves: Mapping[int, Curve]) -> None:
    """Every attempt's line of one curve, all over the same steps and between the same values."""
    from registry.curves import sparkline
    from registry.progress import as_figure

    steps = [step for curve in curves.values() for step in curve.steps]
    values = [value for curve in curves.values() for value in curve.values]
    span, limits = (min(steps), max(steps)), (min(values), max(values))
    between = f"{as_figure(limits[0])} to {as_figure(limits[1])}"
    sys.stdout.write(f"\n{name}, steps {span[0]} to {span[1]}, {between}\n")
    for number, curve in curves.items():
        line = sparkline(curve, span, limits, _WIDTH)
        ends = f"{as_figure(curve.values[0])} → {as_figure(curve.values[-1])}"
        sys.stdout.write(f"{number:>4}  {line}  {ends}\n")
