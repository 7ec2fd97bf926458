"""A community leaves: what is listed, what goes, what stays, and what lineage says afterwards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.conftest import Folder
from tests.registry.proposals import ID, propose
from tests.registry.test_profile_desk import ATTESTED, STEWARD, WHY, take_up

LEAVE = ("--by", STEWARD, *ATTESTED, *WHY, "--yes")
SECRET = "Mend a thing before you replace it"


SAYINGS = """\
name: sayings
description: What each community holds, in its own words.
method: toy-sayings
each: community
inputs: {}
params: {}
contract: []
licence: CC0-1.0
"""
VOICE = """\
name: voice
description: A model of one community's words.
method: toy-tally
each: community
inputs: {words: sayings}
params: {}
contract: []
licence: CC0-1.0
"""
CHOIR = """\
name: choir
description: A model of every community's words.
method: toy-tally
inputs: {words: [sayings, words]}
params: {}
contract: []
licence: CC0-1.0
"""


def commit(folder: Folder) -> None:
    folder.run("git", "add", "--all")
    folder.run("git", "commit", "--quiet", "--message", "test")


@pytest.fixture(scope="module")
def by_consent(_toy_template: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    toy = _toy_template.copied(tmp_path_factory.mktemp("by-consent"))
    toy.declare("datasets", SAYINGS)
    toy.declare("models", VOICE)
    toy.declare("models", CHOIR)
    other = propose(toy.root, name="hill-shepherds")
    values = other / "content" / "values.csv"
    values.write_text(values.read_text().replace("Mend a thing before you replace it", "Count"))
    take_up(toy, "hill-shepherds")
    propose(toy.root, notice_days=0)
    take_up(toy)
    toy.dvc("remote", "add", "--default", "store", "../remote")
    toy.chorus("make", "--all")
    commit(toy)
    toy.dvc("push", "--quiet")
    return toy


@pytest.fixture
def made(by_consent: Folder, tmp_path: Path) -> Folder:
    """A community by consent, its artifacts and those that it shares with others, and a remote."""
    return by_consent.copied(tmp_path)


def withdraw(folder: Folder, *more: str, expect: int = 0) -> str:
    done = folder.chorus("profile", "withdraw", ID, *more, expect=expect)
    return done.out + done.err


def holds(folder: Path, words: bytes) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and words in p.read_bytes()]


def test_a_dry_run_lists_everything_and_changes_nothing(made: Folder) -> None:
    before = made.snapshot()
    said = withdraw(made, "--dry-run")
    for part in (
        f"value_profiles/{ID}/content/values.csv",
        f"voice@{ID}",
        "removed",
        "choir",
    ):
        assert part in said, part
    assert made.snapshot() == before
    plan = made.chorus("profile", "withdraw", ID, "--dry-run", "--json").json
    fates = {a["node"]: a["fate"] for a in plan["artifacts"]}
    assert fates == {
        f"sayings@{ID}": "removed",
        f"voice@{ID}": "removed",
        "choir": "kept until it is made again",
    }
    assert plan["remake"] == ["choir"]
    assert plan["cannot_reach"]


def test_what_held_its_words_goes_from_workspace_cache_and_remote(made: Folder) -> None:
    remote, words = made.root.parent / "remote", SECRET.encode()
    assert holds(made.root / ".dvc", words)
    assert holds(remote, words)
    said = withdraw(made, *LEAVE)
    assert not holds(made.root / ".dvc", words)
    assert not holds(made.root / "value_profiles", words)
    assert not holds(remote, words)
    assert not (made.root / f"data/voice/{ID}").exists()
    assert "influence that trained weights keep" in said
    assert (made.root / f"registry/tombstones/{ID}/receipt.txt").read_text() in said
    commit(made)
    assert f"voice@{ID}" not in made.states()
    assert (
        made.chorus("profile", "status", ID, "--json").json["profiles"][0]["stage"] == "withdrawn"
    )


def test_tombstones_name_artifacts_and_tables_and_no_row(made: Folder) -> None:
    withdraw(made, *LEAVE)
    folder = made.root / "registry/tombstones" / ID
    names = {p.name.split(".")[0] for p in folder.glob("*.json")}
    assert names == {f"sayings@{ID}", f"voice@{ID}", "content"}
    assert not holds(folder, SECRET.encode())
    kept = json.loads((folder / "content.json").read_text())["files"]
    assert set(kept) == {
        f"value_profiles/{ID}/content/{t}" for t in ("values.csv", "norms.csv", "examples.jsonl")
    }


def test_nothing_new_is_made_and_the_others_go_on(made: Folder) -> None:
    withdraw(made, *LEAVE)
    done = made.chorus("make", f"voice@{ID}", expect=2)
    assert "no node is called" in done.err
    made.chorus("make", "--all")
    assert set(made.states().values()) == {"current"}
    assert (
        "cannot be accepted"
        in made.chorus("profile", "resume", ID, "--by", STEWARD, *WHY, expect=4).err
    )


def test_every_other_communitys_own_model_keeps_its_bytes(made: Folder) -> None:
    """Separate models are separable; one that learned from all must be made again."""

    def bytes_of(model: str) -> dict[str, bytes]:
        return {path: b for path, b in made.snapshot().items() if path.startswith(f"data/{model}/")}

    own, shared = bytes_of("voice/hill-shepherds"), bytes_of("choir")
    assert own
    withdraw(made, *LEAVE)
    states = made.states()
    assert states["voice@hill-shepherds"] == "current"
    assert states["choir"] != "current"
    made.chorus("make", "--all")
    assert bytes_of("voice/hill-shepherds") == own
    assert bytes_of("choir") != shared


def test_a_release_is_retired_and_lineage_says_erased(made: Folder) -> None:
    made.chorus("release", f"voice@{ID}", "--version", "1.0.0", "--notify", "--by", "maintainer:1")
    commit(made)
    made.chorus("release", f"voice@{ID}", "--version", "1.0.0")
    tag = f"voice/{ID}@v1.0.0"
    assert made.chorus("lineage", "verify", tag, expect=1).out.startswith("unsigned")
    said = withdraw(made, *LEAVE)
    assert tag in said
    done = made.chorus("lineage", "verify", tag, expect=4)
    assert done.out.startswith("erased")
    assert "broken" not in done.out
    card = (made.root / f"releases/voice/{ID}/1.0.0/README.md").read_text()
    assert "**Retired.** The harbour menders withdrew on" in card
    assert made.chorus("releases", "--json").json["releases"][0]["retired"]
    weights = made.root / f"releases/voice/{ID}/1.0.0/tally.json"
    weights.write_text(weights.read_text() + " ")
    assert made.chorus("lineage", "verify", tag, expect=3).out.startswith("broken")


def test_a_withdrawal_that_was_cut_off_is_finished_by_the_same_command(made: Folder) -> None:
    kept = made.root.parent / "kept"
    shutil.copytree(made.root / f"value_profiles/{ID}/content", kept)
    withdraw(made, *LEAVE)
    shutil.copytree(kept, made.root / f"value_profiles/{ID}/content")  # as if it had died before
    withdraw(made, *LEAVE)
    assert not (made.root / f"value_profiles/{ID}/content").exists()
    events = sorted(p.name for p in (made.root / f"value_profiles/{ID}/events").iterdir())
    assert len([name for name in events if "withdrawn" in name]) == 1


def test_bytes_that_another_artifact_holds_too_are_kept_and_named(made: Folder) -> None:
    lock = made.root / "dvc.lock"
    own = yaml.safe_load((made.root / f"registry/pipelines/{ID}/dvc.lock").read_text())
    shared = next(o for o in own["stages"]["voice"]["outs"] if o["path"].endswith("files"))
    records = yaml.safe_load(lock.read_text())
    outs = records["stages"]["choir"]["outs"]
    outs[[o["path"] for o in outs].index("data/choir/files")] |= {"md5": shared["md5"]}
    lock.write_text(yaml.safe_dump(records))
    said = withdraw(made, *LEAVE)
    assert f"{shared['md5']} (choir)" in said
    assert (made.root / ".dvc/cache/files/md5" / shared["md5"][:2] / shared["md5"][2:]).is_file()


@pytest.mark.parametrize("by", ["maintainer:1", "steward:somebody-else"])
def test_only_its_steward_withdraws_it(made: Folder, by: str) -> None:
    said = withdraw(made, "--by", by, *WHY, "--yes", expect=4)
    assert f"--by steward:{ID}" in said
    assert made.chorus("profile", "status", ID, "--json").json["profiles"][0]["stage"] == "accepted"


def test_licensed_content_is_retired_by_two_maintainers_and_stays(made: Folder) -> None:
    two = ("--by", "maintainer:1", "--by", "maintainer:2", *WHY, "--yes")
    done = made.chorus("profile", "withdraw", "age-22-34", "--by", "maintainer:1", *WHY, "--yes",
                       expect=4)  # fmt: skip
    assert "2 maintainers withdraw a profile" in done.err
    said = made.chorus("profile", "withdraw", "age-22-34", *two)
    assert "retired, not erased" in said.err
    assert (made.root / "value_profiles/age-22-34/opinions.csv").is_file()
    assert "count@age-22-34" not in made.states()


def test_who_and_why_are_asked_for(made: Folder) -> None:
    assert "add --by and --reason" in withdraw(made, "--yes", expect=2)
