"""Makes many nodes, inputs first, several at once where the machine allows."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from registry.errors import ChorusError
from registry.graph import Graph, Node
from registry.launch import stop_children
from registry.make import Listener, Report, make_node
from registry.runs import Door


@dataclass
class Outcome:
    """How making many nodes ended."""

    reports: list[Report] = field(default_factory=list)
    failures: dict[str, ChorusError] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    """Nodes that were not tried, and the input that failed."""

    @property
    def exit_code(self) -> int:
        """The gravest exit code of all failures; 0 where there is none."""
        return max((error.exit_code for error in self.failures.values()), default=0)


def default_jobs(nodes: Sequence[Node]) -> int:
    """As many nodes at once as the machine has processors for, at most four."""
    asked = [node.declaration.resources for node in nodes]
    threads = max((one.threads * one.processes for one in asked), default=1)
    return max(1, min(4, len(os.sched_getaffinity(0)) // threads))


def make_many(
    graph: Graph,
    nodes: Sequence[Node],
    *,
    jobs: int,
    force: bool,
    door: Door,
    listener: Listener,
    done: Callable[[Node, Report | ChorusError], None],
) -> Outcome:
    """Makes `nodes`; what depends on a failed node is skipped, everything else goes on."""
    outcome, waiting = Outcome(), {node.id: node for node in nodes}
    running: dict[Future[Report], Node] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            while waiting or running:
                for node in _ready(waiting, running, outcome, jobs):
                    del waiting[node.id]
                    future = pool.submit(
                        make_node, graph, node, force=force, door=door, listener=listener
                    )
                    running[future] = node
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    node = running.pop(future)
                    _settle(node, future, outcome, done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop_children()
            raise
    return outcome


def _ready(
    waiting: dict[str, Node], running: dict[Future[Report], Node], outcome: Outcome, jobs: int
) -> list[Node]:
    """Nodes whose inputs are settled; marks as skipped those whose inputs failed."""
    busy = {node.id for node in running.values()}
    ready: list[Node] = []
    for node in list(waiting.values()):
        inputs = {edge.node for edge in node.edges}
        if failed := sorted(inputs & (outcome.failures.keys() | outcome.skipped.keys())):
            outcome.skipped[node.id] = failed[0]
            del waiting[node.id]
        elif not inputs & (waiting.keys() | busy) and len(running) + len(ready) < jobs:
            ready.append(node)
    return ready


def _settle(
    node: Node,
    future: Future[Report],
    outcome: Outcome,
    done: Callable[[Node, Report | ChorusError], None],
) -> None:
    try:
        report = future.result()
    except ChorusError as error:
        outcome.failures[node.id] = error
        done(node, error)
    else:
        outcome.reports.append(report)
        done(node, report)
