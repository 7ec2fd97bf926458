"""The steward's word: signed where the profile names a key, attested where it names none."""

from __future__ import annotations

import base64
import datetime as dt
import shutil
import stat
from pathlib import Path

import pytest

from registry.errors import ChorusError, IntegrityError, RefusedError
from registry.hashing import sha256_file
from registry.profile_desk import add_event, review, settle, submit
from registry.profile_folder import read_profile
from registry.profile_life import chain_problems
from registry.signing import holds, load_key, new_key
from registry.stewardship import broken_words, message, unattested
from registry.test_desk import add, marked, retire
from tests.conftest import Folder
from tests.registry.proposals import ID, propose

pytestmark = pytest.mark.filterwarnings(
    "ignore:_NoneStep:DeprecationWarning"
)  # DVC's own, in process
STEWARD, ONE, TWO = f"steward:{ID}", "maintainer:1", "maintainer:2"
WHY = "Read it and found it whole."


def no_passphrase() -> str:
    raise AssertionError("asked for a passphrase")


@pytest.fixture
def old(tmp_path: Path):
    public = new_key(tmp_path / "old.pem", None)
    signer = load_key(tmp_path / "old.pem", no_passphrase)
    assert signer.public == public
    return signer


@pytest.fixture
def other(tmp_path: Path):
    new_key(tmp_path / "other.pem", None)
    return load_key(tmp_path / "other.pem", no_passphrase)


def taken_up(toy: Folder, folder: Path, signer, settler=None, by=(TWO,)) -> Path:
    submit(toy.root, folder, (STEWARD,), WHY)
    word = (STEWARD,) if signer else (STEWARD, ONE, TWO)
    review(toy.root, folder, word, WHY, for_community=True, floor=True, signer=signer)
    review(toy.root, folder, (ONE,), WHY, for_community=False, floor=True)
    settle(toy.root, folder, by, WHY, settler)
    return toy.root / "value_profiles" / ID


def read(toy: Folder, folder: Path):
    profile, problems = read_profile(folder, toy.root)
    assert profile is not None, problems
    return profile


def next_revision(toy: Folder, standing: Path, key: str) -> Path:
    before = sha256_file(standing / "profile.yaml")
    folder = propose(toy.root, revision=2, supersedes=before, key=key)
    shutil.copytree(standing / "events", folder / "events")
    return folder


class TestKeys:
    def test_the_file_is_for_its_owner_alone_and_is_never_written_over(self, tmp_path):
        path = tmp_path / "key.pem"
        new_key(path, "open sesame")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        before = path.read_bytes()
        with pytest.raises(ChorusError, match="is there already"):
            new_key(path, None)
        assert path.read_bytes() == before

    def test_a_passphrase_opens_it_and_another_does_not(self, tmp_path):
        path = tmp_path / "key.pem"
        public = new_key(path, "open sesame")
        signer = load_key(path, lambda: "open sesame")
        assert holds(public, signer.sign(b"word"), b"word")
        with pytest.raises(ChorusError, match="the passphrase is another"):
            load_key(path, lambda: "open barley")

    def test_a_file_that_others_can_read_is_refused(self, tmp_path):
        path = tmp_path / "key.pem"
        new_key(path, None)
        path.chmod(0o644)
        with pytest.raises(ChorusError, match="can be read by other users"):
            load_key(path, no_passphrase)

    @pytest.mark.parametrize("raw", [b"", b"no key", b"\x00" * 99])
    def test_what_is_no_key_is_refused(self, tmp_path, raw):
        path = tmp_path / "key.pem"
        path.write_bytes(raw)
        path.chmod(0o600)
        with pytest.raises(ChorusError, match="no private key"):
            load_key(path, no_passphrase)

    def test_another_word_key_or_signature_does_not_hold(self, old, other):
        signature = old.sign(b"word")
        assert holds(old.public, signature, b"word")
        assert not holds(old.public, signature, b"words")
        assert not holds(other.public, signature, b"word")
        assert not holds(old.public, "A" * 86 + "==", b"word")
        assert not holds("ed25519:short", signature, b"word")


def test_a_known_key_gives_the_known_signature():
    # RFC 8032, section 7.1, test 2
    public = "ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
    raw = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    signature = base64.b64encode(raw).decode()
    assert holds(public, signature, b"\x72")
    assert not holds(public, signature, b"\x73")


def test_without_a_key_two_maintainers_attest_the_word(toy: Folder) -> None:
    folder = propose(toy.root)
    submit(toy.root, folder, (STEWARD,), WHY)
    for by in ((STEWARD,), (STEWARD, ONE), (STEWARD, ONE, ONE), (ONE, TWO), (STEWARD, ONE, "x:2")):
        with pytest.raises(ChorusError, match="steward"):
            review(toy.root, folder, by, WHY, for_community=True, floor=True)
    review(toy.root, folder, (STEWARD, ONE, TWO), WHY, for_community=True, floor=True)
    profile = read(toy, folder)
    assert profile.life.reviewers(1, profile.digest) == [(STEWARD, True)]


def test_with_a_key_only_its_signature_counts(toy: Folder, old, other) -> None:
    folder = propose(toy.root, key=old.public)
    submit(toy.root, folder, (STEWARD,), WHY)
    for by, signer in (((STEWARD, ONE, TWO), None), ((STEWARD,), other)):
        with pytest.raises(ChorusError, match=r"signature does not hold|the steward signs"):
            review(toy.root, folder, by, WHY, for_community=True, floor=True, signer=signer)
    review(toy.root, folder, (STEWARD,), WHY, for_community=True, floor=True, signer=old)
    review(toy.root, folder, (ONE,), WHY, for_community=False, floor=True)
    settle(toy.root, folder, (TWO,), WHY)
    profile = read(toy, toy.root / "value_profiles" / ID)
    assert not [*chain_problems(profile.life), *broken_words(profile.profile, profile.life)]


@pytest.mark.parametrize(
    ("old_text", "new_text"),
    [
        ("reason: Read it and found it whole.", "reason: Read it and found it wanting."),
        ("floor: true\n", ""),
        ("for_community: true\n", ""),
        ("- steward:harbour-menders", "- steward:harbour-menders\n- maintainer:9"),
    ],
)
def test_an_altered_word_is_found_and_nothing_is_made_from_it(toy, old, old_text, new_text):
    standing = taken_up(toy, propose(toy.root, key=old.public), old)
    path = standing / "events/0003-reviewed.yaml"
    text = path.read_text()
    assert old_text in text
    path.write_text(text.replace(old_text, new_text, 1))
    profile = read(toy, standing)
    assert list(broken_words(profile.profile, profile.life)) == [
        "0003-reviewed.yaml: its signature does not hold"
    ]
    refused = profile.refusal("evaluate", dt.date(2026, 11, 1))
    assert refused is not None
    assert "does not stand" in refused[0]
    with pytest.raises(ChorusError, match="broken"):
        add_event(toy.root, standing, "suspended", (ONE,), WHY)


def test_a_signature_counts_for_its_own_profile_alone(toy: Folder, old) -> None:
    standing = taken_up(toy, propose(toy.root, key=old.public), old)
    event = read(toy, standing).life.events[2].event
    assert event.signature is not None
    assert holds(old.public, event.signature, message(ID, event))
    assert not holds(old.public, event.signature, message("another-guild", event))


class TestANewKey:
    def test_is_taken_up_by_the_old_key(self, toy: Folder, old, other) -> None:
        standing = taken_up(toy, propose(toy.root, key=old.public), old)
        folder = next_revision(toy, standing, other.public)
        with pytest.raises(ChorusError, match="it changes the steward's key"):
            taken_up(toy, folder, other)
        settle(toy.root, folder, (TWO,), WHY, old)
        profile = read(toy, standing)
        assert profile.profile.revision == 2
        assert not list(broken_words(profile.profile, profile.life))
        with pytest.raises(ChorusError, match="signature does not hold"):
            add_event(toy.root, standing, "withdrawn", (STEWARD,), WHY, old)

    def test_is_taken_up_where_two_maintainers_attest_it(self, toy: Folder, old, other) -> None:
        standing = taken_up(toy, propose(toy.root, key=old.public), old)
        folder = next_revision(toy, standing, other.public)
        taken_up(toy, folder, other, by=(ONE, TWO))
        assert not list(broken_words(read(toy, standing).profile, read(toy, standing).life))

    def test_is_not_dropped_in_silence(self, toy: Folder, old) -> None:
        standing = taken_up(toy, propose(toy.root, key=old.public), old)
        folder = next_revision(toy, standing, "")
        with pytest.raises(ChorusError, match="it changes the steward's key"):
            taken_up(toy, folder, old)


def test_a_word_from_before_that_nobody_attested_is_shown(toy: Folder, monkeypatch) -> None:
    import registry.profile_desk as desk

    with monkeypatch.context() as patch:
        patch.setattr(desk, "lacks", lambda *_: "")
        folder = propose(toy.root)
        submit(toy.root, folder, (STEWARD,), WHY)
        review(toy.root, folder, (STEWARD,), WHY, for_community=True, floor=True)
    profile = read(toy, folder)
    assert list(unattested(profile.profile, profile.life)) == ["0003-reviewed.yaml"]
    assert not list(broken_words(profile.profile, profile.life))


class TestAnIdOfThoseWhoLeft:
    def left(self, toy: Folder, signer=None) -> Path:
        key = signer.public if signer else ""
        standing = taken_up(toy, propose(toy.root, key=key), signer)
        by = (STEWARD,) if signer else (STEWARD, ONE, TWO)
        add_event(toy.root, standing, "withdrawn", by, WHY, signer)
        return standing

    def test_is_not_taken_by_somebody_else(self, toy: Folder) -> None:
        standing = self.left(toy)
        folder = propose(toy.root)
        with pytest.raises(ChorusError) as caught:
            submit(toy.root, folder, (STEWARD,), WHY)
        said = str(caught.value)
        assert "its id belongs to a community that withdrew" in said
        assert "would seem to come from those who left" in said
        assert "choose another id" in said
        shutil.rmtree(folder)
        folder = next_revision(toy, standing, "")
        with pytest.raises(ChorusError, match="belongs to a community that withdrew"):
            submit(toy.root, folder, (STEWARD,), WHY)
        submit(toy.root, folder, (ONE, TWO), WHY)
        assert read(toy, folder).stage == "validated"

    def test_is_taken_again_by_the_same_key(self, toy: Folder, old, other) -> None:
        standing = self.left(toy, old)
        folder = next_revision(toy, standing, old.public)
        with pytest.raises(ChorusError, match="signature does not hold"):
            submit(toy.root, folder, (STEWARD,), WHY, other)
        submit(toy.root, folder, (STEWARD,), WHY, old)
        assert read(toy, folder).stage == "validated"

    def test_is_guarded_by_its_tombstones_where_its_folder_is_gone(self, toy: Folder) -> None:
        shutil.rmtree(self.left(toy))
        (toy.root / "registry/tombstones" / ID).mkdir(parents=True)
        folder = propose(toy.root)
        with pytest.raises(ChorusError, match="whose words were erased here"):
            submit(toy.root, folder, (STEWARD,), WHY)


class TestEndingATest:
    """A community's own test is ended by its steward's word, and by nothing else."""

    REASON = "It asked about something else."

    @pytest.fixture
    def tested(self, toy, old):
        standing = taken_up(toy, propose(toy.root, key=old.public), old)
        self.add(toy)
        return standing

    def add(self, toy):
        said = {"question": "May I borrow it?", "wrong": "Buy one.", "why": "We lend to others."}
        one = marked(ID, **said, model="voice", content="0" * 64, by=STEWARD)
        add(toy.root, ID, one)

    def end(self, toy, by=(STEWARD,), signer=None):
        return retire(toy.root, ID, "test-1", by, self.REASON, signer)

    def test_the_key_that_the_profile_names_signs(self, toy, tested, old, other):
        for by, signer in ((STEWARD,), None), ((STEWARD, ONE, TWO), None), ((STEWARD,), other):
            with pytest.raises(RefusedError, match="sign"):
                self.end(toy, by, signer)
        assert not read(toy, tested).tests.retired
        self.end(toy, signer=old)
        profile = read(toy, tested)
        assert "test-1" in profile.tests.retired
        assert list(profile.doubts_of_tests()) == []

    @pytest.mark.parametrize(
        ("was", "now"),
        [("something else", "nothing at all"), ("test: test-1", "test: test-2"),
         ("steward:", "steward:x-"), ("signature: ", "signature: AAAA")],
    )  # fmt: skip
    def test_a_record_that_was_altered_is_found(self, toy, tested, old, was, now):
        self.end(toy, signer=old)
        path = tested / "tests" / "0002-retired.yaml"
        path.write_text(path.read_text().replace(was, now, 1))
        found = toy.chorus("profile", "status", ID, "--verify", "--json", expect=3)
        assert any("tests/0002-retired.yaml" in line for line in found.json["profiles"][0]["chain"])

    def test_one_that_is_written_without_the_key_is_found(self, toy, tested, old):
        self.end(toy, signer=old)
        path = tested / "tests" / "0002-retired.yaml"
        kept = [line for line in path.read_text().splitlines(keepends=True)
                if not line.startswith(("signature", "steward_key"))]  # fmt: skip
        path.write_text("".join(kept).replace("by:\n", f"by:\n- {ONE}\n- {TWO}\n"))
        (doubt,) = read(toy, tested).doubts_of_tests()
        assert "the steward signs with --sign-with" in doubt
        with pytest.raises(IntegrityError, match="0002-retired"):
            self.add(toy)

    def test_it_still_stands_after_the_key_was_changed(self, toy, tested, old, other):
        self.end(toy, signer=old)
        taken_up(toy, next_revision(toy, tested, other.public), other, old)
        assert read(toy, tested).profile.steward.key == other.public
        assert list(read(toy, tested).doubts_of_tests()) == []

    def test_without_a_key_two_maintainers_attest_it(self, toy):
        standing = taken_up(toy, propose(toy.root), None)
        self.add(toy)
        for by in ((STEWARD,), (STEWARD, ONE), (ONE, TWO)):
            with pytest.raises(RefusedError):
                self.end(toy, by)
        self.end(toy, (STEWARD, ONE, TWO))
        assert list(read(toy, standing).doubts_of_tests()) == []
