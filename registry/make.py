"""One node's life, from inputs to record. Every door goes through `make_node`.

A lock file per node covers the whole life:

1. resolve inputs, and refuse if one is missing or its bytes are not what its manifest says;
2. the consent gate: each profile that the node rests on must grant this use, now;
3. snapshot the digests of everything that the method reads;
4. run the method in a child process, into a scratch directory beside the target; what an attempt
   with the very same causes left in `work/` is still there, so that a killed one can go on;
5. check the contract; an error-severity failure keeps the scratch and stops;
6. write `manifest.json` last, and make everything durable;
7. compare with the snapshot: if inputs or consent moved, stop with the target untouched;
8. swap the scratch in;
9. record in DVC, unless DVC itself started us: then it records when the stage ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Literal

from registry import consent, errors, quality, store
from registry.artifact import (
    ArtifactPath,
    CheckResult,
    InputEntry,
    Manifest,
    ProfileEntry,
    SourceEntry,
    content_digest,
    digest_of,
    sync_tree,
    write_atomically,
)
from registry.errors import ChorusError, ExitCode, IntegrityError, MethodError, MovedError
from registry.graph import Graph, Node, load_graph
from registry.launch import build_request, choose_device, run_method
from registry.method import forget_code
from registry.profile_life import read_life
from registry.ran import Ran
from registry.row_counts import count_rows
from registry.runs import Door, Outcome, Run, RunFiles, end_run, start_run
from registry.status import Causes, altered_files, causes_of, contract_moved, differences
from registry.unfinished import Attempt, begin, begun, finish

Result = Literal["current", "recorded", "rechecked", "made"]


@dataclass(frozen=True)
class Report:
    """How making one node ended."""

    node: str
    result: Result
    run: Run | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listener:
    """What a door wants to hear while a node is made."""

    waiting: Callable[[str, str], None] = lambda _node, _holder: None
    """Another process holds the node's lock."""
    started: Callable[[str, RunFiles], None] = lambda _node, _files: None
    """The method runs; progress can be read from the run's events."""
    ran: Callable[[str, Ran], None] = lambda _node, _ran: None
    """The method has said what it runs on."""


def make_node(
    graph: Graph,
    node: Node,
    *,
    force: bool = False,
    door: Door | None = None,
    listener: Listener | None = None,
    record: bool = True,
) -> Report:
    """Makes, re-checks or records one node, whichever it needs; inputs must be there.

    Without `record` it is made for comparison only, and DVC hears nothing of it.
    """
    listener, door = listener or Listener(), door or Door()
    with node_lock(graph.project.state, node.id, listener.waiting) as lock:
        artifact = graph.artifact(node)
        artifact.recover()
        require_inputs(graph, node)
        require_consent(graph, node)
        causes = causes_of(graph, node)
        manifest = None if force else _reusable(graph, node, artifact, causes)
        if manifest is None:
            if force:
                artifact.clear_scratch()
            run = _attempt(graph, node, causes, door, listener, lock)
            report = Report(node.id, "made", run, tuple(_warnings(graph, node)))
        elif contract_moved(node, manifest):
            run = _recheck(graph, node, manifest, door)
            report = Report(node.id, "rechecked", run)
        elif store.Records(graph.project.root).covers(node, artifact.manifest.read_bytes()):
            graph.project.hasher.save()
            return Report(node.id, "current")
        else:
            report = Report(node.id, "recorded")
        graph.project.hasher.save()
        if not record or "DVC_STAGE" in os.environ:
            return report
        if store.record(graph, [node]):
            return report
    # Another process (say, `dvc repro`) holds DVC's lock and may wait for ours: record without it.
    store.record_patiently(graph, node)
    return report


@contextlib.contextmanager
def node_lock(state: Path, node: str, waiting: Callable[[str, str], None]) -> Iterator[IO[str]]:
    """Holds the lock of one node; the child inherits it, so that no second attempt can start."""
    folder = state / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{node}.lock").open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            waiting(node, stream.read().strip())
            fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        stream.truncate()
        stream.write(str(os.getpid()))
        stream.flush()
        yield stream


def require_inputs(graph: Graph, node: Node) -> None:
    """Raises if an input is missing, or if its bytes are not what its manifest says."""
    for edge in node.edges:
        manifest = graph.artifact(edge.node).read_manifest()
        if manifest is None:
            raise errors.UsageError(
                f"the input {edge.node} is missing",
                where=node.id,
                why="a node is made from whole artifacts only",
                mend=f"run `chorus make {node.id} --upstream`",
            )
        upstream = graph.nodes[edge.node]
        if altered := altered_files(graph, upstream, manifest):
            raise IntegrityError(
                f"the input {edge.node} is not what its manifest says: {altered[0]}",
                where=node.id,
                why="what is made from it could not be traced",
                mend=f"run `chorus make {edge.node} --force`, or `dvc checkout` to restore it",
            )


def require_consent(graph: Graph, node: Node) -> None:
    """Raises RefusedError unless every profile that the node rests on grants this use, today."""
    today = consent.today()
    for community, use in graph.permissions(node).items():
        graph.project.profiles[community].require(use, today, node.id)


def _reusable(graph: Graph, node: Node, artifact: ArtifactPath, causes: Causes) -> Manifest | None:
    """The manifest of an artifact that these causes would make again, if it is whole."""
    try:
        manifest = artifact.read_manifest()
    except IntegrityError:
        return None
    if manifest is None or differences(causes, manifest) or altered_files(graph, node, manifest):
        return None
    return manifest


def _attempt(
    graph: Graph, node: Node, causes: Causes, door: Door, listener: Listener, lock: IO[str]
) -> Run:
    run, files = start_run(graph.project.state, node.id, door)
    try:
        with _nothing_kept_of_those_who_left(graph, node):
            manifest, seconds = _produce(graph, node, causes, files, listener, lock)
    except KeyboardInterrupt:
        end_run(run, files, "interrupted")
        raise
    except ChorusError as error:
        end_run(run, files, _outcome(error), message=str(error))
        raise
    except BaseException as error:
        end_run(run, files, "failed", message=repr(error))
        raise
    return end_run(run, files, "made", content=manifest.content, method_seconds=seconds)


@contextlib.contextmanager
def _nothing_kept_of_those_who_left(graph: Graph, node: Node) -> Iterator[None]:
    """Removes what a failed attempt left, if a profile or a row was withdrawn in the meantime."""
    try:
        yield
    except BaseException:
        for community in graph.permissions(node):
            before = graph.project.profiles[community]
            life, _ = read_life(before.folder, graph.project.root)
            if life.stage == "withdrawn" or life.left() != before.life.left():
                graph.artifact(node).clear_scratch()
        raise


def _outcome(error: ChorusError) -> Outcome:
    return "refused" if error.exit_code == ExitCode.REFUSED else "failed"


def _produce(
    graph: Graph, node: Node, causes: Causes, files: RunFiles, listener: Listener, lock: IO[str]
) -> tuple[Manifest, float]:
    artifact = graph.artifact(node)
    terms = _consents(graph, node)
    device = choose_device(node)
    digest = digest_of([causes.digest, device, _versions(node)])
    attempt = Attempt(node=node.id, causes=digest, profiles=tuple(sorted(terms)))
    scratch, work = _scratch(artifact, attempt)
    listener.started(node.id, files)
    request = build_request(graph, node, causes, device, scratch.files, work, files)
    started = time.monotonic()
    run_method(request, files, lock, lambda ran: listener.ran(node.id, ran))
    seconds = round(time.monotonic() - started, 3)
    entries = graph.project.hasher.tree(scratch.files)
    if not entries:
        raise MethodError(f"the method {causes.method.name} wrote no files", where=node.id)
    verdicts = quality.check(
        scratch.files, node.declaration.contract, quality.surroundings(graph, node)
    )
    quality.require(verdicts, node.id, scratch.files)
    shutil.rmtree(work)
    manifest = Manifest(
        node=node.id,
        kind=node.declaration.kind,
        licence=node.declaration.licence,
        method=causes.method,
        params=causes.params,
        seed=causes.seed,
        threads=causes.threads,
        processes=causes.processes,
        device=device,
        dtype=causes.params.get("dtype"),
        libraries=_versions(node),
        inputs=tuple(
            InputEntry(role=role, node=name, content=content)
            for (role, name), content in sorted(causes.inputs.items())
        ),
        profiles=_profile_entries(graph, node, causes, terms),
        sources=tuple(
            SourceEntry(path=path, sha256=digest) for path, digest in causes.sources.items()
        ),
        checks=tuple(verdict.to_result() for verdict in verdicts),
        rows=count_rows(scratch.files, entries),
        files=entries,
        content=content_digest(entries),
    )
    write_atomically(scratch.manifest, manifest.to_bytes())
    finish(scratch.directory)
    sync_tree(scratch.directory)
    _require_unmoved(graph, node, causes, terms)
    artifact.swap_in()
    return manifest, seconds


def _scratch(artifact: ArtifactPath, attempt: Attempt) -> tuple[ArtifactPath, Path]:
    """A scratch directory, and the work folder in it, which the same attempt finds again."""
    scratch = ArtifactPath(artifact.scratch)
    work = artifact.scratch / "work"
    if begun(artifact.scratch) != attempt or not work.is_dir():
        artifact.clear_scratch()
        begin(artifact.scratch, attempt)
        work.mkdir()
    shutil.rmtree(scratch.files, ignore_errors=True)
    scratch.manifest.unlink(missing_ok=True)
    (work / "error.json").unlink(missing_ok=True)
    scratch.files.mkdir()
    return scratch, work


def _versions(node: Node) -> dict[str, str]:
    found = {}
    for library in sorted(node.declared.method.libraries):
        with contextlib.suppress(PackageNotFoundError):
            found[library] = version(library)
    return found


def _consents(graph: Graph, node: Node) -> dict[str, str]:
    """Digests of the terms of every profile that the node rests on."""
    found = {}
    for community in graph.permissions(node):
        data = graph.project.profiles[community].document.data
        found[community] = digest_of([data["permission"], data["consent"]])
    return found


def _profile_entries(
    graph: Graph, node: Node, causes: Causes, terms: Mapping[str, str]
) -> tuple[ProfileEntry, ...]:
    return tuple(
        ProfileEntry(
            id=community,
            use=use,
            permission=graph.project.profiles[community].profile.permission,
            consent=terms[community],
            tables={t: d for (c, t), d in causes.tables.items() if c == community},
            fields={f: d for (c, f), d in causes.fields.items() if c == community},
        )
        for community, use in graph.permissions(node).items()
    )


def _require_unmoved(graph: Graph, node: Node, causes: Causes, terms: Mapping[str, str]) -> None:
    """Raises MovedError if anything that the method read is not what it was at the start."""
    forget_code()
    fresh = load_graph(graph.project.root)
    now = fresh.nodes.get(node.id)
    if now is None:
        raise _moved(node, f"{node.id} is no longer declared")
    require_consent(fresh, now)
    if _consents(fresh, now) != terms:
        raise _moved(node, "a permission that it rests on changed")
    after = causes_of(fresh, now)
    if after != causes:
        changed = [name for name in vars(causes) if getattr(after, name) != getattr(causes, name)]
        raise _moved(node, f"its {', '.join(changed)} changed")


def _moved(node: Node, what: str) -> MovedError:
    return MovedError(
        f"while it was being made, {what}",
        where=node.id,
        why="the record would name causes that the result was not made from; "
        "the artifact that stood there before is untouched",
        mend="run the same command again; what was made is kept beside the target until then",
    )


def _recheck(graph: Graph, node: Node, manifest: Manifest, door: Door) -> Run:
    """Checks a changed contract against the artifact as it is, and rewrites its manifest."""
    run, files = start_run(graph.project.state, node.id, door)
    artifact = graph.artifact(node)
    around = quality.surroundings(graph, node)
    verdicts = quality.check(artifact.files, node.declaration.contract, around)
    try:
        quality.require(verdicts, node.id, artifact.files)
    except ChorusError as error:
        end_run(run, files, "failed", message=str(error))
        raise
    results: tuple[CheckResult, ...] = tuple(verdict.to_result() for verdict in verdicts)
    checked = manifest.model_copy(update={"checks": results})
    write_atomically(artifact.manifest, checked.to_bytes())
    return end_run(run, files, "rechecked", content=manifest.content)


def _warnings(graph: Graph, node: Node) -> Iterator[str]:
    manifest = graph.artifact(node).read_manifest()
    for result in manifest.checks if manifest else ():
        if not result.success:
            found = result.found or f"{result.unexpected:,} rows break it"
            shown = ", ".join(f"{name}={value}" for name, value in result.arguments.items())
            yield f"{node.id}: {result.expect}({shown}): {found}. {result.reason}"
