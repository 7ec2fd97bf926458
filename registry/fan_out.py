"""Which communities a declaration has nodes for, and which declarations wait for one."""

from __future__ import annotations

from collections.abc import Iterator

from registry.partly import Key
from registry.project import Declared, Project


def fanned_out(declared: Declared, project: Project) -> tuple[str, ...]:
    """The communities that a declaration fans out to; none where it does not."""
    if declared.declaration.each is None:
        return ()
    return taking_part(declared, project)


def taking_part(declared: Declared, project: Project) -> tuple[str, ...]:
    """The communities that a declaration names; else all that hold what it takes.

    Those that are made up stand only where they are named.
    """
    if declared.name not in project.narrowed:
        project.narrowed[declared.name] = _found_communities(declared, project)
    return project.narrowed[declared.name]


def _found_communities(declared: Declared, project: Project) -> tuple[str, ...]:
    only = declared.declaration.communities
    if only is not None:
        return tuple(c for c in project.communities if c in only)
    return tuple(
        c
        for c in project.communities
        if not project.profiles[c].profile.fictional and not _lacking(declared, c, project)
    )


def _lacking(declared: Declared, community: str, project: Project) -> str:
    """What a community does not hold of what a declaration takes; nothing where it holds all."""
    profile, method = project.profiles[community], declared.method
    for table in method.reads:
        if not profile.table(table).is_file():
            return table
    for name in method.profile_fields:
        if name not in profile.document.data and name not in method.may_lack:
            return f"`{name}` in its profile.yaml"
    if declared.declaration.each is None:
        return ""
    for _, name, _ in input_names(declared):
        other = project.declarations.get(name)
        if other is None or not other.declaration.each or other.declaration.communities:
            continue  # an input that is narrowed by name is an error with its place, later
        if community not in taking_part(other, project):
            return name
    return ""


def input_names(declared: Declared) -> Iterator[tuple[str, str, Key]]:
    """Role, input name and place of each input of a declaration."""
    for role, names in declared.declaration.inputs.items():
        if isinstance(names, str):
            yield role, names, ("inputs", role)
        else:
            for index, name in enumerate(names):
                yield role, name, ("inputs", role, index)


def waits_for(declared: Declared, project: Project) -> str:
    """What a declaration needs and no community holds; empty where it has nodes.

    A declaration that names its communities, or takes from one that does, does not wait: there it
    is an error if nothing is left.
    """
    if declared.name not in project.waiting:
        project.waiting[declared.name] = _found_lacking(declared, project)
    return project.waiting[declared.name]


def _found_lacking(declared: Declared, project: Project) -> str:
    if declared.declaration.communities is not None:
        return ""
    for _, name, _ in input_names(declared):
        other = project.declarations[name.partition("@")[0]]
        if "@" in name or other.declaration.communities is not None:
            continue
        if lacking := waits_for(other, project):
            return lacking
        if other.declaration.each and not taking_part(other, project):
            return f"a community that has {name}"
    method = declared.method
    if (method.reads or method.profile_fields) and not taking_part(declared, project):
        return f"a community with {', '.join(method.reads or method.profile_fields)}"
    return ""
