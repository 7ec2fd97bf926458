"""Single people's answers are read only where that is permitted, and only of the right half."""

from __future__ import annotations

import json

import numpy as np
import pytest

from assets.rows import read_rows
from assets.synthesis.respondent_sequences import (
    RowPermission,
    processes_of,
    questions_of,
    read_people,
    require_enough,
    require_half,
)
from registry.context import ProfileView
from registry.errors import ChorusError, MethodError
from tests.assets.synthesis.respondents import GROUPS, HELD_OUT, OPTIONS, town


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return town(tmp_path_factory.mktemp("town") / "project")


@pytest.fixture
def context(build, place):
    return build(place.file, root=place.root)


def questions(place, **given):
    return questions_of(read_rows(place.questionnaire / "items.parquet").to_dicts(), **given)


def read(context, place, **changed):
    file = place.file.model_copy(update=changed)
    return read_people(context, file, questions(place), "town-2024")


def test_people_are_halved_as_the_import_halved_them(context, place):
    found = read(context, place)
    assert set(found) == set(GROUPS.values())
    for group, halves in place.ids.items():
        assert tuple({one.id for one in half} for half in found[group]) == halves
        assert not halves[0] & halves[1]


def test_without_a_permission_nothing_is_read(context, place):
    with pytest.raises(MethodError, match="nothing says that the rows") as caught:
        read(context, place, permission=None, path="no-such-file.csv")
    assert "permission:" in caught.value.mend
    assert "opinion-sft" in caught.value.mend


def test_a_permission_is_for_one_file(context, place):
    other = RowPermission(
        basis="licence", statement="It is for another file.", file_sha256="0" * 64
    )
    with pytest.raises(MethodError, match="not the file that its permission names"):
        read(context, place, permission=other)


def test_a_file_that_is_not_there_is_named(context, place):
    with pytest.raises(MethodError, match=r"gone\.csv is no file"):
        read(context, place, path="gone.csv")


@pytest.mark.parametrize("changed", [{"seed": 1}, {"halves": "shuffle"}])
def test_another_split_than_the_profiles_own_is_found_out(context, place, changed):
    """A wrong seed would teach the people who are kept for evaluation."""
    found = read(context, place, **changed)
    for profile in place.profiles:
        with pytest.raises(MethodError, match=r"not those of town-.*'s table") as caught:
            require_half(profile, found[profile.id][0])
        assert "kept for evaluation" in caught.value.why
    for profile in place.profiles:
        require_half(profile, read(context, place)[profile.id][0])


def test_the_half_for_evaluation_is_not_the_profiles_table(context, place):
    found = read(context, place)
    for profile in place.profiles:
        with pytest.raises(MethodError, match="counted otherwise"):
            require_half(profile, found[profile.id][1])


def test_a_table_without_rows_proves_nothing(place, tmp_path, context):
    (tmp_path / "opinions.csv").write_text("item,option,position,count,share,n,n_effective,mark\n")
    empty = ProfileView("town-north", "n", tmp_path, ("opinions.csv",), {})
    with pytest.raises(MethodError, match="are not those"):
        require_half(empty, read(context, place)["town-north"][0])


def test_few_people_are_too_few(place, context):
    people = read(context, place)["town-north"][0]
    require_enough(place.profiles[0], people[:50])
    with pytest.raises(MethodError, match="fewer than 50 people"):
        require_enough(place.profiles[0], people[:49])


def test_questions_are_on_one_side_and_never_in_the_wording_kept_back(place):
    learned, held = questions(place), questions(place, held_out=True)
    assert [q.item for q in learned] == [item for item in OPTIONS if item not in HELD_OUT]
    assert [q.item for q in held] == ["sky", "fog"]
    assert all("unseen" not in wording for q in (*learned, *held) for wording in q.wordings)


def test_no_person_and_no_item_is_in_both_splits(context, place):
    """Learning takes one half and the learned items; evaluation the other half and the rest."""
    found, source = read(context, place), np.random.default_rng(0)
    learning = {one.id for halves in found.values() for one in halves[0]}
    evaluation = {one.id for halves in found.values() for one in halves[1]}
    assert len(learning) + len(evaluation) == 400
    assert not learning & evaluation
    shown = []
    for side in (False, True):
        processes = processes_of("x", found["town-north"][0], questions(place, held_out=side),
                                 source)  # fmt: skip
        shown.append({json.loads(s.given)["question"] for p in processes for s in p.samples})
    assert not shown[0] & shown[1]


def test_a_person_is_one_source_and_answers_as_in_the_file(context, place):
    people = read(context, place)["town-north"][0]
    processes = processes_of("people of x", people, questions(place), np.random.default_rng(0))
    assert len(processes) == len(people)
    orders, wordings = set(), set()
    for person, process in zip(people, processes, strict=True):
        assert person.id not in process.id + process.description
        answered = [item for item in OPTIONS if item in person.chosen and item not in HELD_OUT]
        assert len(process.samples) == len(answered)
        for item, sample in zip(answered, process.samples, strict=True):
            given = json.loads(sample.given)
            assert sample.output == person.chosen[item]
            assert sorted(given["options"]) == sorted(OPTIONS[item])
            orders.add(tuple(given["options"]) == OPTIONS[item])
            wordings.add(given["question"].rsplit(" ", 1)[1].rstrip("?"))
    assert orders == {True, False}
    assert wordings == {"a", "b"}


def changed(place, tmp_path, name, old, new):
    """The survey with something put otherwise."""
    root = tmp_path / "project"
    for file in ("answers.csv", "codebook.yaml"):
        root.mkdir(exist_ok=True)
        text = (place.root / file).read_text()
        (root / file).write_text(text.replace(old, new, 1) if file == name else text)
    return root


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("codebook.yaml", '"1": "Often"', '"1": "Red"', "item sea: the options are not those"),
        ("codebook.yaml", "town-2024", "town-1999", "codebook is of 'town-1999'"),
        ("codebook.yaml", 'missing: ["-1", "NA"]', 'missing: ["NA"]', "the code '-1'"),
        ("answers.csv", "person-00001", "person-00000", "does not tell people apart"),
        ("answers.csv", "RespId", "Id", "has no column 'RespId'"),
        ("answers.csv", "person-00001,s,", 'person-00001,s,"', "cannot be read|no row like"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_says_what_is_wrong(build, place, tmp_path, name, old, new, said):
    from registry.hashing import sha256_file

    root = changed(place, tmp_path, name, old, new)
    permission = place.file.permission.model_copy(
        update={"file_sha256": sha256_file(root / "answers.csv")}
    )
    file = place.file.model_copy(update={"permission": permission})
    with pytest.raises(ChorusError, match=said) as caught:
        read_people(build(file, root=root), file, questions(place), "town-2024")
    assert "person-00" not in str(caught.value)


def test_bands_of_ages_become_groups(build, tmp_path):
    from registry.hashing import sha256_file

    place = town(tmp_path / "project")
    path = place.root / "answers.csv"
    path.write_text(path.read_text().replace(",n,", ",30,").replace(",s,", ",70,"))
    book = place.root / "codebook.yaml"
    book.write_text(book.read_text().replace('"n":', "22-64:").replace('"s":', "65-plus:"))
    permission = place.file.permission.model_copy(update={"file_sha256": sha256_file(path)})
    file = place.file.model_copy(update={"bins": (22, 65), "permission": permission})
    found = read_people(build(file, root=place.root), file, questions(place), "town-2024")
    assert {g: len(a) + len(b) for g, (a, b) in found.items()} == {
        "town-north": 200, "town-south": 200,
    }  # fmt: skip
