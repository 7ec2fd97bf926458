"""`chorus demo`: the main job from an empty folder to verified lineage, in one command."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.output import print_rows, say
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.graph import Graph
    from registry.release import Name

COMMUNITIES = ("age-22-34", "age-65-plus")
_RELEASED = "community-rl@age-22-34"
_RANDOM = "A random model of the tiny demo: it shows how a release is made, and serves nobody."
MAIN_JOB = ("pluralism", _RELEASED)
"""What the demo makes, with everything that it is made from; the rest waits to be asked for."""
_NEXT = """
Next, in this folder ({folder}):
  chorus status                          what is current, stale (and why) or missing
  chorus ask {model} "How much do you trust the news media?" \\
    --options "A lot" "Some" "Not much" "Not at all"
  chorus show {model}
  chorus lineage show pluralism          from the figures to the survey and its licence
  less {card}
  chorus release verify {release} --key registry/keys/demo.pem
  open {picture}
Change a declaration in registry/ or a profile in value_profiles/, then:
  chorus status && chorus make --all     exactly what depends on it is made anew
"""


def register(app: typer.Typer) -> None:
    """Adds this module's command."""
    app.command("demo", rich_help_panel="Set up")(demo)


def demo(
    directory: Annotated[Path | None, typer.Argument(help="Where; demo/ if left out.")] = None,
    size: Annotated[
        str, typer.Option(help="`default`, or `tiny`: a random model, in about a minute.")
    ] = "default",
) -> None:
    """Run the main job: models of two groups and for both, their evaluation, a verified release."""
    from registry.cli.lineage import print_tree, print_verification, trace_target, walk
    from registry.cli.making import make_and_say
    from registry.cli.reading import load
    from registry.starter import check_size, commit, init_project

    started = time.monotonic()
    chosen = check_size(size)
    folder = (directory or Path("demo" if chosen == "default" else f"demo-{chosen}")).resolve()
    if not (folder / "registry").is_dir():
        say(f"starting a project in {folder} with two groups of survey respondents")
        for line in init_project(folder, COMMUNITIES, chosen):
            say(line)
    os.chdir(folder)
    graph = load()
    wanted = "models/tiny-random.yaml" if chosen == "tiny" else "models/smollm2-135m.yaml"
    if not (folder / "registry" / wanted).exists():
        raise UsageError("holds a demo of another size", where=str(folder), mend="remove it")
    job = graph.upstream([graph.node(name) for name in MAIN_JOB])
    code = make_and_say(graph, job, force=False, jobs=0)
    if code:
        raise typer.Exit(code)
    if revision := commit(folder, "Record what the demo made", identity=True):
        say(f"committed the declarations and records as {revision} in the demo's own repository")
    graph = load()
    _print_matrix(graph)
    released = _release(graph, tiny=chosen == "tiny")
    print_rows([(f"\nchorus lineage show {released.tag}:\n",)])
    print_tree(trace_target(graph, released.tag))
    print_rows([(f"\nchorus lineage verify {released.tag}:\n",)])
    code = print_verification(walk(graph, released.tag))
    picture = os.path.relpath(graph.artifact("pluralism").files / "cross-matrix.png", folder)
    card = f"{released.folder}/README.md"
    lines = _NEXT.format(
        folder=folder, model=_RELEASED, card=card, picture=picture, release=released.folder
    )
    print_rows([(lines,)])
    say(f"the demo took {time.monotonic() - started:.0f} s")
    raise typer.Exit(code)


def _release(graph: Graph, *, tiny: bool) -> Name:
    """Releases the model, unless its very content is released already.

    A tiny random model reaches nothing that a community demands; its release says so.
    """
    from registry.cli.releasing import Wish, release_and_say
    from registry.release import Name, name_of, read_statement, versions
    from registry.status import status
    from registry.thresholds import judge

    node = graph.node(_RELEASED)
    manifest = graph.artifact(node).read_manifest()
    first = name_of(node, "1.0.0")
    known = [Name(first.name, version) for version in versions(graph.project.root, first.name)]
    for name in known[-1:]:
        statement, _ = read_statement(graph.project.root, name)
        if manifest and statement.content == manifest.content:
            say(f"{name.tag} is released already")
            return name
    chosen = Name(first.name, f"1.{len(known)}.0")
    print_rows([(f"\nchorus release {_RELEASED} --version {chosen.version}:\n",)])
    short = any(not one.reached for one in judge(graph, node, status(graph)))
    word = _RANDOM if tiny and short else None
    key = _key(graph.project.root)
    wish = Wish(override=word, by=["chorus:demo"], sign_with=key)
    code = release_and_say(_RELEASED, chosen.version, wish)
    if code:
        raise typer.Exit(code)
    return chosen


def _key(root: Path) -> Path:
    """The demo's own key, which its project trusts; it stays outside Git."""
    from registry.release_keys import FOLDER, new_release_key, read_public, trust, trusted
    from registry.starter import commit

    path = root / ".chorus" / "demo-key.pem"
    public = path.with_name(f"{path.name}.pub")
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        new_release_key(path, None)
        say(f"made a key that signs the demo's releases; it stays outside Git: {path}")
    known = {key.fingerprint for key in trusted(root)}
    fingerprint = read_public(public).fingerprint
    if fingerprint not in known:
        name = f"demo-{fingerprint[:8]}" if known else "demo"
        trust(root, public, name)
        commit(root, f"Trust the key of the demo ({FOLDER}/{name}.pem)")
    return path


def _print_matrix(graph: Graph) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    text = (graph.artifact("pluralism").files / "cross-matrix.md").read_text()
    console = Console(width=None if Console().is_terminal else 110)
    console.print()
    console.print(Markdown(text))
