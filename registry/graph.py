"""Declarations and communities become nodes and edges; fan-out and gathering happen here.

In a node that fans out, an input named plainly is the same community's node if that input fans out,
else the single node. In a node that does not, a fanned-out input is every community's artifact,
sorted by id. `name@community` picks one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from registry.artifact import ArtifactPath
from registry.consent import Use
from registry.declaration import Declaration, Form, with_article
from registry.errors import Problem, ProblemsError, UsageError
from registry.fan_out import fanned_out, input_names, taking_part, waits_for
from registry.licences import dropped
from registry.method import Method, Role
from registry.partly import Key
from registry.profile_folder import Profile
from registry.project import Declared, Project, load_project
from registry.strict_yaml import nearest


@dataclass(frozen=True)
class Edge:
    """One input of a node."""

    role: str
    node: str


@dataclass(frozen=True)
class Node:
    """A declaration, or a declaration for one community."""

    declared: Declared
    community: str | None
    edges: tuple[Edge, ...]
    reads: tuple[str, ...]
    """The communities whose profile the method reads itself."""

    @property
    def name(self) -> str:
        """The declaration's name."""
        return self.declared.name

    @property
    def id(self) -> str:
        """`name` or `name@community`."""
        return f"{self.name}@{self.community}" if self.community else self.name

    @property
    def declaration(self) -> Declaration:
        """What is declared."""
        return self.declared.declaration

    @property
    def path(self) -> str:
        """The artifact's directory, from the project's root."""
        return f"data/{self.name}/{self.community}" if self.community else f"data/{self.name}"


@dataclass(frozen=True)
class Graph:
    """All nodes of a project, in an order in which each follows its inputs."""

    project: Project
    nodes: Mapping[str, Node]
    waiting: Mapping[str, str] = field(default_factory=dict)
    """Declarations without a node, each with what it needs and no community holds."""

    def node(self, node_id: str) -> Node:
        """The node with this id; raises UsageError with a near match."""
        if node_id in self.nodes:
            return self.nodes[node_id]
        name, _, community = node_id.partition("@")
        siblings = [i for i, n in self.nodes.items() if n.name == name]
        if not community and siblings:
            mend = f"name one of {', '.join(siblings)}"
        elif community and siblings:
            close = nearest(node_id, siblings)
            mend = close or f"communities here: {', '.join(map(_community_of, siblings))}"
        elif name in self.waiting:
            raise UsageError(
                f"{name} has no node yet",
                why=f"it needs {self.waiting[name]}",
                mend="accept or admit a profile that holds it: `chorus profile status`",
            )
        else:
            mend = nearest(node_id, list(self.nodes)) or "see `chorus list`"
        raise UsageError(f"no node is called {node_id!r}", mend=mend)

    def select(self, names: Iterable[str]) -> list[Node]:
        """The nodes that names on a command line mean; a fanned-out name means all of it."""
        chosen: dict[str, Node] = {}
        for name in names:
            fanned = [n for n in self.nodes.values() if n.name == name and n.community]
            for node in fanned or [self.node(name)]:
                chosen[node.id] = node
        return [node for node in self.nodes.values() if node.id in chosen]

    def upstream(self, nodes: Iterable[Node]) -> list[Node]:
        """These nodes and everything that they are made from, inputs first."""
        wanted: set[str] = set()
        waiting = [node.id for node in nodes]
        while waiting:
            current = waiting.pop()
            if current not in wanted:
                wanted.add(current)
                waiting += [edge.node for edge in self.nodes[current].edges]
        return [node for node in self.nodes.values() if node.id in wanted]

    @cached_property
    def _lineage(self) -> dict[str, dict[str, Use]]:
        found: dict[str, dict[str, Use]] = {}
        for node in self.nodes.values():
            use = node.declared.method.use or _USE[node.declaration.kind]
            own = dict.fromkeys(node.reads, use)
            for edge in node.edges:
                own |= dict.fromkeys(found[edge.node], use)
            found[node.id] = dict(sorted(own.items()))
        return found

    def permissions(self, node: Node) -> dict[str, Use]:
        """The profiles that a node rests on, itself or through its inputs, and its use of them."""
        return self._lineage[node.id]

    def artifact(self, node: Node | str) -> ArtifactPath:
        """Where a node's artifact lies."""
        resolved = self.nodes[node] if isinstance(node, str) else node
        return ArtifactPath(self.project.root / resolved.path)

    def profiles_of(self, node: Node) -> tuple[Profile, ...]:
        """The profiles that the node's method reads itself."""
        return tuple(self.project.profiles[community] for community in node.reads)

    def sources(self, node: Node) -> tuple[str, ...]:
        """The project paths that the node's parameters name."""
        return node.declared.method.source_paths(node.declared.params)


def _community_of(node_id: str) -> str:
    return node_id.partition("@")[2]


_USE: dict[str, Use] = {"dataset": "train-sft", "model": "train-sft", "evaluation": "evaluate"}
"""What a node that names no use itself does with what its inputs rest on."""


def load_graph(start: Path | None = None) -> Graph:
    """The graph of the project that holds `start`, as its files are now."""
    return build_graph(load_project(start))


def build_graph(project: Project) -> Graph:
    """The graph of a project; raises ProblemsError with every wrong input, each with its place."""
    problems: list[Problem] = []
    nodes: dict[str, Node] = {}
    waiting: dict[str, str] = {}
    for declared in project.declarations.values():
        problems += _declaration_problems(declared, project)
    problems += _cycles(project)
    if not problems:
        for declared in project.declarations.values():
            if lacking := waits_for(declared, project):
                waiting[declared.name] = lacking
                continue
            for community in fanned_out(declared, project) or (None,):
                if declared.declaration.each and community is None:
                    continue
                node, found = _node(declared, community, project)
                problems += found
                nodes[node.id] = node
    if problems:
        raise ProblemsError(problems)
    order = TopologicalSorter({n.id: sorted({e.node for e in n.edges}) for n in nodes.values()})
    return Graph(project, {node_id: nodes[node_id] for node_id in order.static_order()}, waiting)


def _declaration_problems(declared: Declared, project: Project) -> Iterator[Problem]:
    document, method = declared.document, declared.method
    declaration = declared.declaration
    for index, community in enumerate(declaration.communities or ()):
        if community not in project.profiles:
            what = f"names the unknown community {community!r}"
            mend = nearest(community, list(project.profiles)) or (
                "communities here: " + ", ".join(project.communities)
            )
            yield document.problem(("communities", index), what, mend)
    if declaration.resources.processes > 1 and not method.spreads:
        what = f"the method {method.name!r} runs in one process"
        mend = "leave out `processes`; docs/training.md names the methods that several can share"
        yield document.problem(("resources", "processes"), what, mend)
    yield from _licence_problems(declared)
    yield from _contract_problems(declared, project)
    for role in declaration.inputs:
        if role not in method.inputs:
            what = f"the method {method.name!r} takes no input {role!r}"
            mend = "it takes: " + (", ".join(sorted(method.inputs)) or "none")
            yield document.problem(("inputs", role), what, mend)
    for role, wanted in method.inputs.items():
        given = declaration.inputs.get(role, ())
        if not given and not wanted.optional:
            what = f"lacks the input {role!r} of the method {method.name!r}"
            named = f"<name of {with_article(wanted.kind)}>"
            mend = f"add `{role}: {named}` ({wanted.description})"
            yield document.problem(("inputs",), what, mend)
        if not isinstance(given, str) and len(given) > 1 and not wanted.many:
            what = f"names {len(given)} inputs, and {role!r} takes one"
            yield document.problem(("inputs", role), what, "keep one of them")
    for role, name, key in input_names(declared):
        yield from _input_problems(declared, project, role, name, key)


def _licence_problems(declared: Declared) -> Iterator[Problem]:
    """A declared licence that lacks a condition of what its method reads."""
    method = declared.method
    source = method.licence(declared.params) if method.licence else ""
    if lost := dropped(declared.declaration.licence, source):
        what = f"what the method {method.name!r} reads is under {source}, which asks for {lost}"
        mend = f"write `licence: {source}`, or read less of it"
        yield declared.document.problem(("licence",), what, mend)


def _contract_problems(declared: Declared, project: Project) -> Iterator[Problem]:
    """Expectations that compare it with what it is not made from, and may be made after it."""
    above: set[str] = set()
    waiting = [declared]
    while waiting:
        named = {name.partition("@")[0] for _, name, _ in input_names(waiting.pop())}
        waiting += [project.declarations[n] for n in named - above if n in project.declarations]
        above |= named
    for index, given in enumerate(declared.declaration.contract):
        if given.other is not None and given.other not in above:
            what = f"compares with {given.other!r}, which it is not made from"
            made_from = "it is made from: " + (", ".join(sorted(above)) or "nothing")
            mend = nearest(given.other, list(above)) or made_from
            yield declared.document.problem(("contract", index, "other"), what, mend)


def _input_problems(
    declared: Declared, project: Project, role: str, name: str, key: Key
) -> Iterator[Problem]:
    document, wanted_role = declared.document, declared.method.inputs.get(role)
    base, at, community = name.partition("@")
    other = project.declarations.get(base)
    if other is None or (at and not community):
        what = f"names the unknown input {name!r}"
        mend = nearest(base, list(project.declarations)) or "see `chorus list`"
        yield document.problem(key, what, mend)
    elif wanted_role is not None and other.declaration.kind != wanted_role.kind:
        wanted = with_article(wanted_role.kind)
        what = f"{name!r} is {with_article(other.declaration.kind)}; {role!r} takes {wanted}"
        yield document.problem(key, what, f"name {wanted}")
    elif wanted_role is not None and (forms := _another_form(wanted_role, other.method)):
        has, takes = map(with_article, forms)
        what = f"{base!r} is {has}; {role!r} takes {takes} ({wanted_role.description})"
        yield document.problem(key, what, f"name {takes}")
    elif community and other.declaration.each is None:
        what = f"{base!r} does not fan out, so {name!r} names nothing"
        yield document.problem(key, what, f"write {base!r}")
    elif community and community not in taking_part(other, project):
        profile = project.profiles.get(community)
        here = taking_part(other, project)
        mend = "communities here: " + ", ".join(here)
        if profile is None:
            what = f"names the unknown community {community!r}"
            mend = nearest(community, list(here)) or mend
        else:
            what = f"{base!r} has no node for {community!r}"
            what += "" if profile.active else f", which is {profile.stage}"
        yield document.problem(key, what, mend)


def _another_form(role: Role, maker: Method) -> tuple[Form, Form] | None:
    """What a method makes and what a role takes, where those are models for other purposes."""
    if role.form is None or maker.form is None or role.form == maker.form:
        return None
    return maker.form, role.form


def _cycles(project: Project) -> list[Problem]:
    """A declaration that is made from itself, at the input that closes the circle."""
    needs = {
        name: sorted({n.partition("@")[0] for _, n, _ in input_names(declared)})
        for name, declared in project.declarations.items()
    }
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        name, maker = circle[1], circle[0]
        declared = project.declarations[name]
        key: Key = next(
            (k for _, n, k in input_names(declared) if n.partition("@")[0] == maker), ("inputs",)
        )
        what = "is made from itself: " + " <- ".join(reversed(circle))
        return [declared.document.problem(key, what, "remove one of these inputs")]
    return []


def _node(
    declared: Declared, community: str | None, project: Project
) -> tuple[Node, list[Problem]]:
    edges: list[Edge] = []
    problems: list[Problem] = []
    for role, name, key in input_names(declared):
        targets = list(_targets(declared, community, name, project))
        if not targets:
            what = f"{name!r} has no node for {community or 'any community'}"
            problems.append(
                declared.document.problem(key, what, "widen its `communities`, or narrow this one")
            )
        elif len(targets) > 1 and not declared.method.inputs[role].many:
            what = f"{name!r} is one artifact a community, and {role!r} takes one"
            mend = f"write `{targets[0]}`, or add `each: community` to this declaration"
            problems.append(declared.document.problem(key, what, mend))
        for edge in (Edge(role, target) for target in targets):
            if edge in edges:
                what = f"gives {edge.node!r} to {role!r} twice"
                problems.append(declared.document.problem(key, what, "name it once"))
            edges.append(edge)
    reads: tuple[str, ...] = ()
    if declared.method.reads or declared.method.profile_fields:
        reads = (community,) if community else taking_part(declared, project)
    return Node(declared, community, tuple(edges), reads), problems


def _targets(
    declared: Declared, community: str | None, name: str, project: Project
) -> Iterator[str]:
    base, _, picked = name.partition("@")
    other = project.declarations[base]
    if picked or other.declaration.each is None:
        yield name
        return
    available = taking_part(other, project)
    if community is not None:
        yield from (f"{base}@{c}" for c in available if c == community)
    else:
        wanted = taking_part(declared, project)
        yield from (f"{base}@{c}" for c in available if c in wanted)
