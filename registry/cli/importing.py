"""`chorus profile import`: from figures that others published to proposed value profiles."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from registry.cli.output import Json, print_json, print_rows, say
from registry.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from registry.intake.group import Group
    from registry.intake.imports import Import

import_app = typer.Typer(
    no_args_is_help=True,
    help="Propose value profiles from a survey, a table, a Polis conversation or a file of norms.",
)
_ITEMS_SHOWN = 3
_PROPOSALS = Path("proposals")

File = Annotated[Path, typer.Argument(help="The source's file, as it was published.")]
CodebookFile = Annotated[
    Path, typer.Option("--codebook", help="YAML: the source, its questions, options and groups.")
]
AboutFile = Annotated[Path, typer.Option("--about", help="YAML: title, publisher, licence, dates.")]
Into = Annotated[Path, typer.Option("--into", help="Where the proposals go.")]
Replace = Annotated[bool, typer.Option("--replace", help="Earlier proposals give way.")]
Despite = Annotated[
    str | None,
    typer.Option("--despite-noise", help="Why to propose groups that do not differ; recorded."),
]
Sensitive = Annotated[
    list[str] | None,
    typer.Option("--sensitive", help="party, religion, ethnicity, health, sexuality, union, none."),
]
NoHeldOut = Annotated[
    bool, typer.Option("--no-held-out", help="Do without a table for evaluation.")
]
Clusters = Annotated[int | None, typer.Option(help="How many groups; as many as the export has.")]
Draws = Annotated[int, typer.Option(min=20, help="Permutations that show what noise scores.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the split in half.")]


@import_app.command()
def survey(
    file: File,
    codebook: CodebookFile,
    group: Annotated[str, typer.Option(help="The column that divides people.")],
    bins: Annotated[str, typer.Option(help="Lowest values of bands: 22,35,50,65.")] = "",
    weight: Annotated[str | None, typer.Option(help="The column of weights.")] = None,
    id_column: Annotated[str | None, typer.Option("--id", help="The column of ids.")] = None,
    sensitive: Sensitive = None,
    seed: Seed = 0,
    into: Into = _PROPOSALS,
    replace: Replace = False,
    despite_noise: Despite = None,
    json: Json = False,
) -> None:
    """Propose one profile for each group of a survey: CSV, Parquet, Stata or SPSS."""
    from registry.intake.imports import from_survey
    from registry.intake.survey import Columns

    found = from_survey(
        file,
        codebook,
        Columns(group, weight, id_column),
        bins=_bins(bins),
        sensitive=sensitive or (),
        seed=seed,
    )
    _finish(found, into, despite_noise, replace=replace, json=json)


@import_app.command()
def table(
    file: File,
    codebook: CodebookFile,
    layout: Annotated[Literal["long", "wide"], typer.Option(help="How it is laid out.")] = "long",
    heading: Annotated[str | None, typer.Option(help="Over which groups of a wide table.")] = None,
    sensitive: Sensitive = None,
    no_held_out: NoHeldOut = False,
    into: Into = _PROPOSALS,
    replace: Replace = False,
    despite_noise: Despite = None,
    json: Json = False,
) -> None:
    """Propose profiles from a ready table of percentages with the number of people."""
    from registry.intake.imports import from_table

    found = from_table(
        file,
        codebook,
        layout=layout,
        heading=heading,
        sensitive=sensitive or (),
        without_held_out=no_held_out,
    )
    _finish(found, into, despite_noise, replace=replace, json=json)


@import_app.command()
def polis(
    votes: Annotated[Path, typer.Argument(help="participants-votes.csv, plain or gzipped.")],
    comments: Annotated[Path, typer.Argument(help="comments.csv of the same export.")],
    about: AboutFile,
    clusters: Clusters = None,
    topics: Annotated[
        Path | None, typer.Option(help="CSV comment-id,topic; none makes no pairs.")
    ] = None,
    draws: Draws = 100,
    no_held_out: NoHeldOut = False,
    seed: Seed = 0,
    into: Into = _PROPOSALS,
    replace: Replace = False,
    despite_noise: Despite = None,
    json: Json = False,
) -> None:
    """Propose one profile for each group of people who voted alike in a Polis conversation."""
    from registry.intake.imports import from_polis

    found = from_polis(
        votes,
        comments,
        about,
        clusters=clusters,
        topics=topics,
        draws=draws,
        seed=seed,
        held_out=not no_held_out,
    )
    _finish(found, into, despite_noise, replace=replace, json=json)


@import_app.command("opinion-qa")
def opinion_qa(
    folder: Annotated[
        Path, typer.Argument(help="A wave: info.csv, metadata.csv and responses.csv.")
    ],
    about: AboutFile,
    group: Annotated[str, typer.Option(help="A key of metadata.csv, like CREGION.")],
    weight: Annotated[
        str | None, typer.Option(help="The column of weights, if several start with WEIGHT.")
    ] = None,
    sensitive: Sensitive = None,
    seed: Seed = 0,
    into: Into = _PROPOSALS,
    replace: Replace = False,
    despite_noise: Despite = None,
    json: Json = False,
) -> None:
    """Propose one profile for each group of a wave of OpinionQA."""
    from registry.intake.public_files import from_opinion_qa

    found = from_opinion_qa(
        folder, about, group, weight=weight, sensitive=sensitive or (), seed=seed
    )
    _finish(found, into, despite_noise, replace=replace, json=json)


@import_app.command("global-opinion-qa")
def global_opinion_qa(
    file: File,
    about: AboutFile,
    sensitive: Sensitive = None,
    no_held_out: NoHeldOut = False,
    into: Into = _PROPOSALS,
    replace: Replace = False,
    despite_noise: Despite = None,
    json: Json = False,
) -> None:
    """Propose profiles of the countries of GlobalOpinionQA that --about names, with their n."""
    from registry.intake.public_files import from_global_opinions

    found = from_global_opinions(
        file, about, sensitive=sensitive or (), without_held_out=no_held_out
    )
    _finish(found, into, despite_noise, replace=replace, json=json)


@import_app.command()
def ccai(
    folder: Annotated[
        Path, typer.Argument(help="comments.csv, participants-votes.csv, ids-to-toss.csv.")
    ],
    about: AboutFile,
    clusters: Clusters = None,
    draws: Draws = 100,
    no_held_out: NoHeldOut = False,
    seed: Seed = 0,
    into: Into = _PROPOSALS,
    replace: Replace = False,
    despite_noise: Despite = None,
    json: Json = False,
) -> None:
    """Propose profiles from the folder of Collective Constitutional AI."""
    from registry.intake.ccai import export_of
    from registry.intake.imports import from_polis

    export = export_of(folder)
    found = from_polis(
        export.votes,
        export.statements,
        about,
        clusters=clusters,
        draws=draws,
        seed=seed,
        held_out=not no_held_out,
        left_out=export.left_out,
    )
    _finish(found, into, despite_noise, replace=replace, json=json)


@import_app.command()
def codebook(
    file: Annotated[Path, typer.Argument(help="A file of Stata (.dta) or SPSS (.sav).")],
    about: AboutFile,
    questions: Annotated[
        str, typer.Option(help="Columns that are questions: Q1,Q2; all with labels if left out.")
    ] = "",
) -> None:
    """Print a codebook drafted from the labels of a Stata or SPSS file, for you to mend."""
    from registry.intake.codebook import About, read_about
    from registry.intake.labelled import draft
    from registry.intake.proposal import yaml_text

    named = [one.strip() for one in questions.split(",") if one.strip()]
    sys.stdout.write(yaml_text(draft(file, read_about(about, About), named)))
    say("read it: which labels are answers, and which are none, only a person knows")


@import_app.command()
def norms(
    file: File,
    about: AboutFile,
    area: Annotated[str | None, typer.Option(help="Only this source, like dearabby.")] = None,
    split: Annotated[str | None, typer.Option(help="Only this part, like train.")] = None,
    at_most: Annotated[int | None, typer.Option(min=1, help="As many rules.")] = None,
    into: Into = _PROPOSALS,
    replace: Replace = False,
    json: Json = False,
) -> None:
    """Write the rules of a Social Chemistry TSV as norms that a community may choose from."""
    from registry.intake.imports import write_norms

    done = write_norms(file, about, into, area=area, split=split, at_most=at_most, replace=replace)
    if json:
        print_json(
            norms=done.count, left_out=dict(done.left_out), written=[str(p) for p in done.paths]
        )
        return
    print_rows([(f"{done.count:,} norms",)])
    print_rows([(f"  {n:,}", f"rows left out: {why}") for why, n in done.left_out.items()])
    print_rows([("written:", str(path)) for path in done.paths])
    say(
        "Nobody holds these norms as a body. A community takes those over that it holds too: "
        "chorus profile adopt PROPOSAL FILE --rows ID"
    )


def _bins(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise UsageError(
            f"cannot read {text!r}",
            where="--bins",
            mend="write whole numbers parted by commas: 22,35,50,65",
        ) from None


def _finish(found: Import, into: Path, despite: str | None, *, replace: bool, json: bool) -> None:
    """Prints the report, and writes the proposals where nothing speaks against it."""
    if not json:
        _print(found)
    refusal = found.refusal(despite)
    paths = () if refusal else found.write(into, despite, replace=replace)
    if json:
        record = found.record(despite)
        del record["schema_version"]
        print_json(**record, refused=refusal, written=[str(path) for path in paths])
    elif refusal:
        say(f"nothing was written: {refusal}")
    else:
        print_rows([("written:", str(path)) for path in paths])
        print_rows([("next:", f"chorus profile check {into / found.kept[0].id}")])
    if refusal:
        raise typer.Exit(ExitCode.CHECKS_FAILED)


def _print(found: Import) -> None:
    apart = found.separation
    verdict = "usable" if apart.usable else "not usable"
    headline = (
        f"{verdict}: {apart.distance:.3f} between groups, {apart.mean_noise:.3f} noise, "
        f"ratio {apart.ratio:.2f} (needed: {apart.limit:.2f})"
    )
    print_rows([(headline,)])
    print_rows([(f"  {note}",) for note in (f"noise: {apart.measured_by}", *found.notes)])
    print_rows([
        ("  GROUP", "PEOPLE", "ITEMS", "NOISE", "LEFT OUT"),
        *(
            (
                f"  {group.id}",
                f"{group.total:,}",
                str(len(group.learning)),
                f"{apart.noise[group.id]:.3f}" if group.id in apart.noise else "-",
                _left_out(group),
            )
            for group in found.groups
        ),
    ])  # fmt: skip
    print_rows([
        ("  PAIR", "", "ITEMS", "DISTANCE", "NOISE", "RATIO"),
        *(
            (
                f"  {pair.one}",
                pair.other,
                str(pair.items),
                f"{pair.distance:.3f}",
                f"{pair.noise:.3f}",
                f"{pair.ratio:.2f}{'  indistinguishable' if pair.indistinguishable else ''}",
            )
            for pair in apart.pairs
        ),
    ])  # fmt: skip


def _left_out(group: Group) -> str:
    names = list(group.left_out)
    shown = [f"{name[:40]}: {group.left_out[name]}" for name in names[:_ITEMS_SHOWN]]
    more = len(names) - _ITEMS_SHOWN
    return "; ".join([*shown, *([f"and {more} more items"] if more > 0 else [])])
