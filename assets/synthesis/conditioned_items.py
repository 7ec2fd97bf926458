"""Survey prompts that say whom to answer as, for one model that answers as each of many groups.

The rows are those of `opinion-items` with a line put before the question that names the group. The
name comes from the group's profile, which strangers write: it stands as a JSON string, in which no
character is left that could end a line, the string, or a turn of the model.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from assets.rows import LIBRARIES, read_rows, row_id, write_rows
from registry.errors import MethodError
from registry.method import Method, Role
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context, ProfileView

_MARKS = str.maketrans({mark: f"\\u{ord(mark):04x}" for mark in "<>[]|"})
"""What the marks of known families are written with."""


class Params(Frozen):
    """Nothing is left open: a model must be asked in the words in which it learned."""


def answer_as(name: str) -> str:
    """The line that says whom to answer as."""
    quoted = json.dumps(name, ensure_ascii=False).translate(_MARKS)
    return f"Answer as: {quoted}"


def conditioned(name: str, prompt: str) -> str:
    """A prompt to one who answers as the group with this name."""
    return f"{answer_as(name)}\n{prompt}"


def require_different(profiles: Sequence[ProfileView]) -> None:
    """Raises MethodError where two groups could not be told apart by their names."""
    counted = Counter(answer_as(profile.name).casefold() for profile in profiles)
    twice = sorted(p.id for p in profiles if counted[answer_as(p.name).casefold()] > 1)
    if twice:
        raise MethodError(
            f"{' and '.join(twice)} have the same name",
            why="the model could not tell which of them it answers as",
            mend="give their profiles different names, or narrow `communities`",
        )


def run(context: Context) -> None:
    """Puts the line of its group before each prompt."""
    require_different(context.profiles)
    names = {profile.id: profile.name for profile in context.profiles}
    rows: list[dict[str, Any]] = []
    for given in context.inputs("items"):
        for row in read_rows(given.files / "items.parquet").to_dicts():
            community = row["community"]
            if community not in names:
                raise MethodError(
                    f"has rows of {community!r}, whose profile this node does not read",
                    where=given.label,
                    mend="name the same `communities` in both declarations",
                )
            prompt = conditioned(names[community], row["prompt"])
            own = row_id(f"conditioned:{community}", [row["row_id"], prompt])
            rows.append(row | {"row_id": own, "parents": [row["row_id"]], "prompt": prompt})
    if len({row["community"] for row in rows}) < 2:  # noqa: PLR2004
        raise MethodError(
            "the items are of fewer than two groups",
            where=context.node,
            why="a model that knows one group only has nobody to tell it from",
            mend="give the items of several communities, or train `opinion-sft` on them plainly",
        )
    write_rows(context.out / "items.parquet", rows)


method = Method(
    name="conditioned-items",
    kind="dataset",
    description="Survey prompts with shares, each with a line that says whom to answer as.",
    params=Params,
    run=run,
    inputs={"items": Role("dataset", "the prompts with shares of several groups", many=True)},
    profile_fields=("name", "opinions"),
    use="train-sft",
    libraries=LIBRARIES,
)
