"""What becomes of a release: stages as GTO's tags, and the checks before a promotion."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import UsageError
from registry.notices import is_retired
from registry.release import Name
from registry.release_tags import give_stage, standings, take_stage
from registry.stages import set_stage, unset_stage
from tests.conftest import Folder, trust_a_new_key
from tests.registry.test_release import NODE, TOY, commit

FIRST, SECOND = Name("count/age-22-34", "1.0.0"), Name("count/age-22-34", "1.1.0")
BY, WHY = ["maintainer:7"], "It was read by two people."


@pytest.fixture(scope="module")
def _released(_toy_template: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A signed release 1.0.0, and 1.1.0 that nobody signed."""
    folder = _toy_template.copied(tmp_path_factory.mktemp("stages"))
    folder.chorus("make", NODE, "--upstream")
    signed = trust_a_new_key(folder)
    commit(folder)
    folder.chorus("release", NODE, "--version", "1.0.0", *TOY, *signed)
    folder.chorus("release", NODE, "--version", "1.1.0", *TOY)
    return folder


@pytest.fixture
def released(_released: Folder, tmp_path: Path) -> Folder:
    return _released.copied(tmp_path)


def stages(folder: Folder, name: Name) -> tuple[str, ...]:
    found = standings(folder.root).get(name.tag)
    return found.stages if found else ()


def promote(folder: Folder, name: Name, expect: int, to: str = "production") -> str:
    said = ("--by", *BY, "--reason", WHY, "--to", to)
    return folder.chorus("release", "promote", name.tag, *said, expect=expect).out


def test_stages_are_tags_of_gto_and_the_latest_comes_first(released: Folder) -> None:
    root = released.root
    give_stage(root, FIRST, "candidate", "tried")
    give_stage(root, FIRST, "production", "It passed.")
    assert standings(root)[FIRST.tag].stages == ("production", "candidate")
    assert standings(root)[FIRST.tag].reason == "It passed."
    shown = released.run("gto", "show", "count/age-22-34", "--json").out
    assert "production" in shown
    take_stage(root, FIRST, "production", "not yet")
    assert stages(released, FIRST) == ("candidate",)
    tags = released.run("git", "tag").out.split()
    assert "count/age-22-34#production!#3" in tags


def test_one_version_is_in_production_and_the_last_one_is_it(released: Folder) -> None:
    give_stage(released.root, FIRST, "production", "first")
    give_stage(released.root, SECOND, "production", "second")
    assert stages(released, FIRST) == ()
    assert stages(released, SECOND) == ("production",)


def test_what_holds_is_promoted_and_an_unsigned_release_is_a_candidate_at_most(
    released: Folder,
) -> None:
    promote(released, FIRST, 0)
    promote(released, SECOND, 0, to="candidate")
    assert "nobody signed it" in promote(released, SECOND, 1)
    assert stages(released, SECOND) == ("candidate",)


def test_broken_bytes_and_an_ended_permission_are_not_promoted(released: Folder) -> None:
    card = released.root / FIRST.folder / "counts.json"
    whole = card.read_bytes()
    card.write_bytes(whole + b" ")
    assert "counts.json was altered" in promote(released, FIRST, 3)
    card.write_bytes(whole)
    released.edit(
        "value_profiles/age-22-34/profile.yaml", "expires_on: never", 'expires_on: "2026-01-01"'
    )
    assert "the permission expired on 2026-01-01" in promote(released, FIRST, 4)


def test_a_revoked_key_stops_a_promotion_and_is_said_by_verify(released: Folder) -> None:
    said = ("--by", "maintainer:1", "--reason", "The laptop was lost.")
    released.chorus("key", "revoke", "amina", *said)
    done = released.chorus("lineage", "verify", FIRST.tag, expect=1)
    assert done.out.startswith("unsigned")
    assert "the key amina was revoked on" in done.out
    assert "the key amina was revoked on" in promote(released, FIRST, 1)
    shown = released.chorus("releases").out
    assert "amina, revoked" in shown
    key = str(released.root.parent / "none.pem")
    done = released.chorus("release", NODE, "--version", "2.0.0", "--sign-with", key, expect=2)
    assert "no such key file" in done.err


def test_what_is_no_longer_advised_or_retired_says_so_on_its_card(released: Folder) -> None:
    root = released.root
    give_stage(root, FIRST, "production", "It passed.")
    set_stage(root, FIRST, "deprecated", BY, "1.1.0 is nearer.")
    assert stages(released, FIRST) == ("deprecated",)
    assert "is no longer advised, since" in FIRST.card(root).read_text()
    assert not is_retired(FIRST.card(root))
    assert "it is deprecated" in promote(released, FIRST, 4)
    set_stage(root, FIRST, "retired", BY, "It hurts somebody.")
    assert is_retired(FIRST.card(root))
    assert released.run("git", "status", "--porcelain").out == ""
    done = released.chorus("release", "verify", FIRST.tag)
    assert done.out.startswith("verified")
    assert "It hurts somebody." in done.out
    with pytest.raises(UsageError, match="is no longer to be used already"):
        set_stage(root, FIRST, "retired", BY, WHY)


def test_a_stage_needs_a_word_and_a_release(released: Folder) -> None:
    root = released.root
    with pytest.raises(UsageError, match="say who decides and why"):
        set_stage(root, FIRST, "retired", [], WHY)
    with pytest.raises(UsageError, match="in one line"):
        set_stage(root, FIRST, "retired", BY, "one\ntwo")
    with pytest.raises(UsageError, match="no release is called"):
        set_stage(root, Name("count/age-22-34", "9.0.0"), "retired", BY, WHY)
    with pytest.raises(UsageError, match="is not production"):
        unset_stage(root, FIRST, "production", BY, WHY)


def test_the_commands(released: Folder) -> None:
    said = ("--by", "maintainer:7", "--reason", WHY)
    done = released.chorus("release", "promote", FIRST.tag, *said)
    assert "is in production: it is the one to rely on" in done.err
    (first, second) = released.chorus("releases", "--json").json["releases"]
    assert (first["stages"], first["signature"]) == (["production"], "amina")
    assert (second["stages"], second["signature"]) == ([], "unsigned")
    released.chorus("release", "promote", SECOND.tag, *said, expect=1)
    released.chorus("release", "demote", FIRST.tag, *said)
    released.chorus("release", "retire", FIRST.tag, *said)
    assert "retired" in released.chorus("release", "list").out
    done = released.chorus("release", "promote", FIRST.tag, *said, "--to", "best", expect=2)
    assert "no stage is called 'best'" in done.err


def test_a_tag_that_was_moved_is_found(released: Folder) -> None:
    released.run("git", "tag", "--force", FIRST.tag, f"{SECOND.tag}^{{commit}}", "-m", "moved")
    done = released.chorus("lineage", "verify", FIRST.tag, expect=3)
    assert "does not name this statement: it was moved or made anew" in done.out
    released.run("git", "tag", "--force", FIRST.tag, "HEAD~2", "-m", "moved")
    done = released.chorus("lineage", "verify", FIRST.tag, expect=3)
    assert "is not in the commit of the tag" in done.out + done.err


def test_a_signature_that_was_taken_away_is_missed(released: Folder) -> None:
    (released.root / FIRST.folder / "model.sig").unlink()
    done = released.chorus("release", "verify", FIRST.tag, expect=3)
    assert "model.sig is not the one that the tag holds" in done.out
