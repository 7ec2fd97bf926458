"""What is wrong is said at once: rules run over the fields that are right."""

from __future__ import annotations

from typing import Self

import pytest
from pydantic import Field, model_validator

from registry.partly import known_part, nothing_of
from registry.profile_check import check_folder
from registry.strict_yaml import parse, typed
from registry.typed import Frozen
from tests.registry.proposals import ID, propose


class Inner(Frozen):
    low: int
    high: int = Field(ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.high < self.low:
            raise ValueError("high is below low")
        return self


class Outer(Frozen):
    name: str = Field(min_length=3)
    alone: int = 1
    inner: Inner
    many: tuple[Inner, ...] = ()

    @model_validator(mode="after")
    def _name_fits(self) -> Self:
        if self.name == "wrong":
            raise ValueError("the name is wrong")
        return self

    @model_validator(mode="after")
    def _sum_fits(self) -> Self:
        if self.alone + self.inner.low > 10:
            raise ValueError("too much together")
        return self


def said(text: str) -> list[str]:
    document, problems = parse(text.encode(), "f.yaml")
    assert document, problems
    found, problems = typed(Outer, document)
    assert bool(problems) == (found is None)
    return sorted(str(problem).split("\n")[0] for problem in problems)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: good\ninner: {low: 1, high: 2}", []),
        ("name: wrong\ninner: {low: 11, high: 12}",
         ["f.yaml:1:1: the file: the name is wrong", "f.yaml:1:1: the file: too much together"]),
        ("name: x\nalone: 9\ninner: {low: 5, high: 2}",
         ["f.yaml:1:1: name: must have at least 3 characters (found 'x')",
          "f.yaml:1:1: the file: too much together", "f.yaml:3:1: inner: high is below low"]),
        ("name: wrong\ninner: {low: 20, high: -1}",
         ["f.yaml:1:1: the file: the name is wrong", "f.yaml:1:1: the file: too much together",
          "f.yaml:2:18: inner.high: must be 0 or more (found '-1')"]),
        ("name: wrong\ninner: nothing",
         ["f.yaml:1:1: the file: the name is wrong",
          "f.yaml:2:1: inner: must be a group of keys, each with its own value (found 'nothing')"]),
        ("inner: {low: 1, high: 2}\nmany: [{low: x, high: 1}, {low: 3, high: 1}]",
         ["f.yaml:1:1: lacks the key 'name'",
          "f.yaml:2:9: many.0.low: must be a whole number (found 'x')",
          "f.yaml:2:27: many.1: high is below low"]),
    ],
)  # fmt: skip
def test_every_rule_runs_whose_fields_are_known(text, expected):
    assert said(text) == sorted(expected)


def test_of_what_is_no_mapping_nothing_is_known():
    assert known_part(Outer, ["a"], [{"type": "x", "loc": (), "msg": "", "input": ""}]) == (
        None,
        [],
    )


def test_a_field_that_is_not_known_cannot_be_read():
    with pytest.raises(AttributeError):
        _ = nothing_of(Outer).name
    assert nothing_of(Outer).alone == 1


def test_a_profile_with_mistakes_of_every_kind_shows_all_of_them_at_once(tmp_path):
    folder = propose(tmp_path)
    path = folder / "profile.yaml"
    text = path.read_text()
    text = text.replace("took_part: 42", "took_part: many").replace("revision: 1", "revision: 2")
    text = text.replace('  granted_by: "assembly of the guild"\n', "")
    path.write_text(text + "off_limits: [{id: tide, topic: The tide, terms: [needle]}]\n")
    (folder / "content" / "values.csv").write_text(
        "id,statement,rationale,strength,agreement,n,dissent\n"
    )
    profile, problems, _ = check_folder(folder, tmp_path)
    assert profile is None
    texts = [str(problem).split("\n")[0].partition(ID)[2] for problem in problems]
    for expected in (
        "took_part: must be a whole number (found 'many')",
        "consent.granted_by: say which role granted it",
        "supersedes: the digest of the previous revision",
        "values.csv:1: has no rows",
        "values: no value has the id 'mend-first'",
        "touches 'needle', which is off limits",
    ):
        assert sum(expected in text for text in texts) >= 1, (expected, texts)
    assert len(set(map(str, problems))) == len(problems)
