"""A new revision through the form, and who is shown what of the one that stands."""

from __future__ import annotations

import shutil

import pytest

from registry.errors import ProblemsError
from registry.event_details import LeftItem
from registry.hashing import sha256_file
from registry.profile_desk import add_event, review, whole
from registry.profile_folder import read_profile
from registry.profile_keys import opens, renew
from registry.site.pages import templates
from tests.site.filled import FIELDS, ID, Visitor, parsed

SECRET_WORDS = "Water from the common spring"


@pytest.fixture
def accepted(visitor, root):
    """A profile that came in through the form and was accepted; returns its key."""
    visitor.fill()
    visitor.send("preview")
    visitor.submit()
    key = visitor.page.partition('id="receipt-key">')[2].partition("<")[0]
    accept(root)
    return key


def accept(root):
    """Two reviews and the acceptance, without DVC."""
    folder = root / "proposals" / ID
    word = (f"steward:{ID}", "maintainer:1", "maintainer:2")
    for by, own in ((word, True), (word[1:2], False)):
        why = "It was read, and it is right."
        review(root, folder, by, why, for_community=own, floor=True)
    add_event(root, folder, "accepted", ("maintainer:1",), "Two people reviewed it.")
    target = root / "value_profiles" / ID
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)


def change(root, name=ID, key="", **options):
    """A visitor who opens an accepted profile in the form."""
    visitor = Visitor(root, **options)
    token = parsed(visitor.page).values["token"][0]
    data = {"token": token, "id": name, "key": key}
    answer = visitor.client.post(f"/{visitor.language}/change", data=data, files={"x": ("", b"")})
    visitor.page, visitor.address = answer.text, str(answer.url.path)
    visitor.status = answer.status_code
    return visitor


class TestKey:
    def test_only_its_digest_is_kept(self, accepted, root):
        held = [path.read_bytes() for path in (root / ".chorus").rglob("*") if path.is_file()]
        assert len(accepted) == 64
        assert all(accepted.encode() not in raw for raw in held)

    def test_it_opens_the_revision_that_came_with_it(self, accepted, root):
        profile, _ = read_profile(root / "value_profiles" / ID, root)
        assert opens(root, profile, accepted)
        assert opens(root, profile, f" {accepted}\n")
        for wrong in ("", "0" * 64, accepted[:-1], accepted.upper(), "x" * 10_000, "\ud800"):
            assert not opens(root, profile, wrong)

    def test_a_new_one_ends_the_old_one(self, accepted, root):
        profile, _ = read_profile(root / "value_profiles" / ID, root)
        new = renew(root, profile)
        assert opens(root, profile, new)
        assert not opens(root, profile, accepted)

    def test_the_receipt_shows_it_again_to_the_same_browser_only(self, visitor, root):
        visitor.fill()
        visitor.send("preview")
        visitor.submit()
        again = visitor.client.get(visitor.address)
        assert 'id="receipt-key"' in again.text
        assert Visitor(root).client.get(visitor.address).status_code == 404


class TestOpening:
    def test_with_the_key_the_form_is_filled_with_everything(self, accepted, root):
        visitor = change(root, key=accepted)
        kept = parsed(visitor.page).values
        assert kept["name"] == ["People of the River Valley"]
        assert kept["values.0.statement"][0].startswith(SECRET_WORDS)
        assert kept["examples.4.prompt"] == ["May I take water on day 4?"]
        assert "This changes revision 1" in visitor.page

    def test_without_it_no_word_of_the_content_is_shown(self, accepted, root):
        visitor = change(root)
        assert parsed(visitor.page).values["name"] == ["People of the River Valley"]
        pages = [visitor.page, visitor.send("check"), visitor.send("preview")]
        assert all("May I take water on day" not in page for page in pages)
        assert parsed(visitor.page).values["values.0.statement"] == [""]
        assert {"values", "examples"} <= set(visitor.messages())

    def test_a_wrong_key_opens_nothing(self, accepted, root):
        visitor = change(root, key="0" * 64)
        assert visitor.status == 409
        assert "this edit key does not open this profile" in visitor.page
        assert not list((root / ".chorus" / "drafts").glob("*/state.json"))[1:]

    @pytest.mark.parametrize("name", ["", "nobody-here", "../value_profiles", "a/b", "x\0y", ".."])
    def test_what_is_not_there_is_said(self, accepted, root, name):
        visitor = change(root, name)
        assert visitor.status == 409
        assert "no profile of this id stands here" in visitor.page

    def test_a_survey_cannot_be_opened(self, root):
        shutil.copytree("value_profiles/age-22-34", root / "value_profiles" / "age-22-34")
        assert "not written by a community itself" in change(root, "age-22-34").page

    def test_a_withdrawn_profile_cannot_be_opened(self, accepted, root):
        folder = root / "value_profiles" / ID
        add_event(root, folder, "withdrawn", ("steward:x",), "They said so, as agreed.")
        assert "cannot be changed any more" in change(root, key=accepted).page

    def test_a_draft_with_words_of_a_withdrawn_profile_is_removed(self, accepted, root):
        visitor = change(root, key=accepted)
        folder = root / "value_profiles" / ID
        add_event(root, folder, "withdrawn", ("steward:x",), "They said so, as agreed.")
        assert visitor.client.get(visitor.address).status_code == 404
        held = [p.read_text() for p in (root / ".chorus" / "drafts").glob("*/state.json")]
        assert all(SECRET_WORDS not in text for text in held)

    def test_it_is_said_in_the_other_language_too(self, accepted, root):
        visitor = change(root, key="x", language="de")
        assert "dieser Änderungsschlüssel öffnet dieses Profil nicht" in visitor.page


class TestRevision:
    def test_it_supersedes_what_stands_after_its_differences_were_shown(self, accepted, root):
        stands = sha256_file(root / "value_profiles" / ID / "profile.yaml")
        visitor = change(root, key=accepted)
        visitor.send("preview", {"values.0.strength": "3", "licence": "CC0-1.0",
                                 "evaluation.held_out_share": "0,3"})  # fmt: skip
        assert visitor.address.endswith("/preview"), visitor.messages()
        changes = visitor.page.partition('id="changes"')[2].partition("</section>")[0]
        assert "value-1: strength from 5 to 3" in changes
        assert "from &#39;none-granted&#39; to &#39;CC0-1.0&#39;" in changes
        assert "from 0.2 to 0.3" in changes
        assert changes.count("<li>") == 3
        visitor.submit()
        assert visitor.address.endswith("/receipt")
        profile = whole(root / "proposals" / ID, root)
        assert (profile.profile.revision, profile.profile.supersedes) == (2, stands)
        happened = [h.event.event for h in profile.life.events]
        assert happened == ["submitted", "validated", "reviewed", "reviewed", "accepted",
                            "submitted", "validated"]  # fmt: skip
        assert profile.life.events[5].event.by == (f"steward:{ID}",)
        new = visitor.page.partition('id="receipt-key">')[2].partition("<")[0]
        standing, _ = read_profile(root / "value_profiles" / ID, root)
        assert opens(root, standing, accepted)
        assert not opens(root, standing, new)
        accept(root)
        standing, _ = read_profile(root / "value_profiles" / ID, root)
        assert opens(root, standing, new)
        assert not opens(root, standing, accepted)

    def test_without_the_key_reviewers_are_told_and_tables_are_not_compared(self, accepted, root):
        visitor = change(root)
        tables = {n: t for n, t in FIELDS.items() if n.startswith(("values.", "examples."))}
        visitor.send("preview", tables | {"values.0.statement": "Bridges are mended by all."})
        assert visitor.address.endswith("/preview"), visitor.messages()
        assert SECRET_WORDS not in visitor.page
        assert "are not compared without its edit key" in visitor.page
        visitor.submit()
        profile, _ = read_profile(root / "proposals" / ID, root)
        submitted = profile.life.events[5].event
        assert submitted.by == ("form:without-key",)
        assert "without the edit key" in submitted.reason

    def test_the_id_cannot_be_changed_on_the_way(self, accepted, root):
        visitor = change(root, key=accepted)
        visitor.send("preview", {"id": "other-valley", "name": "People of both Valleys"})
        visitor.submit()
        assert (root / "proposals" / ID).is_dir()
        assert not (root / "proposals" / "other-valley").exists()

    def test_a_second_change_waits_for_the_first(self, accepted, root):
        one, two = change(root, key=accepted), change(root, key=accepted)
        for visitor in (one, two):
            visitor.send("preview", {"name": "People of both Valleys"})
        one.submit()
        answer = two.submit()
        assert answer.status_code == 409
        assert "waiting for its reviewers already" in two.page
        assert "waiting for its reviewers already" in change(root, key=accepted).page

    def test_a_revision_accepted_in_the_meantime_is_said_and_nothing_is_lost(self, accepted, root):
        visitor = change(root, key=accepted)
        path = root / "value_profiles" / ID / "profile.yaml"
        path.write_text(path.read_text() + "\n")
        visitor.send("check", {"name": "People of both Valleys"})
        assert "another revision stands here" in visitor.messages()["id"]
        assert parsed(visitor.page).values["name"] == ["People of both Valleys"]

    def test_a_change_sent_without_a_token_is_refused(self, accepted, root):
        visitor = Visitor(root)
        data = {"id": ID, "key": accepted, "token": "0" * 64}
        assert visitor.client.post("/en/change", data=data,
                                   files={"x": ("", b"")}).status_code == 403  # fmt: skip


class TestBesideOthers:
    """What a proposal must keep to because of what happened here before."""

    @pytest.fixture
    def counted(self, visitor, root):
        """A profile with a table of opinions that was accepted; returns its edit key."""
        asked = {"opinions.instrument": "valley-2026", "opinions.fielded.start": "2026-03-01",
                 "opinions.fielded.end": "2026-03-02", "opinions.weighting": "none",
                 "opinions.held_out": "false"}  # fmt: skip
        visitor.send("check", FIELDS | asked, {"opinions": ("o.csv", templates()["opinions.csv"])})
        visitor.send("preview")
        assert visitor.address.endswith("/preview"), visitor.messages()
        visitor.submit()
        key = visitor.page.partition('id="receipt-key">')[2].partition("<")[0]
        accept(root)
        return key

    def figures(self, more):
        table = templates()["opinions.csv"].decode("utf-8-sig").splitlines(keepends=True)
        rows = [table[0], *(line.replace(",100,100,", f",{100 + more},{100 + more},")
                            for line in table[1:])]  # fmt: skip
        count, n = 60 + more, 100 + more
        rows[1] = rows[1].replace(",60,0.6,", f",{count},{count / n:.6f},")
        rows[2] = rows[2].replace(",40,0.4,", f",40,{40 / n:.6f},")
        return {"opinions": ("o.csv", "".join(rows).encode())}

    @pytest.mark.parametrize(("more", "said"), [(3, "3 more people chose &#39;Yes&#39;"), (12, "")])
    def test_figures_that_tell_how_a_few_answered_are_refused(self, counted, root, more, said):
        visitor = change(root, key=counted)
        visitor.send("preview", files=self.figures(more))
        shown = visitor.messages().get("opinions", "")
        assert said in shown
        assert bool(shown) == bool(said)
        assert visitor.address.endswith("/preview") == (not said)
        visitor.client.post(
            f"{visitor.address.removesuffix('/preview')}/submit",
            data={"token": parsed(visitor.page).values["token"][0], "sure": "yes"},
            files={"x": ("", b"")},
        )
        assert (root / "proposals" / ID).exists() == (not said)

    def test_without_the_key_nobody_learns_from_it_what_the_figures_are(self, counted, root):
        visitor = change(root)
        words = {n: t for n, t in FIELDS.items() if n.startswith(("values.", "examples."))}
        visitor.send("preview", words, self.figures(3))
        assert visitor.address.endswith("/preview"), visitor.messages()
        assert "more people" not in visitor.page
        visitor.submit()
        with pytest.raises(ProblemsError, match="3 more people chose 'Yes'"):
            whole(root / "proposals" / ID, root)

    def test_a_row_that_was_taken_back_is_named_and_the_rest_suffices(self, accepted, root):
        folder = root / "value_profiles" / ID
        left = LeftItem(table="examples.jsonl", row="example-1", profile_after="0" * 64)
        word = (f"steward:{ID}", "maintainer:1", "maintainer:2")
        add_event(root, folder, "item-withdrawn", word, "Its author wants it back.", item=left)
        visitor = change(root, key=accepted)
        visitor.send("preview")
        assert "was taken back on" in visitor.messages()["examples.0"]
        nothing = {f"examples.0.{name}": "" for name in ("prompt", "preferred", "dispreferred",
                                                         "author", "id", "values")}  # fmt: skip
        visitor.send("preview", nothing)
        assert visitor.address.endswith("/preview"), visitor.messages()

    @pytest.mark.parametrize("language", ["en", "de"])
    def test_the_id_of_a_community_that_left_is_given_to_nobody(self, root, language):
        (root / "registry" / "tombstones" / ID).mkdir(parents=True)
        visitor = Visitor(root, language)
        visitor.send("preview", FIELDS)
        said = {"en": "belongs to a community that left", "de": "die sich zurückgezogen hat"}
        assert said[language] in visitor.messages()["id"]
        assert not visitor.address.endswith("/preview")

    def test_words_that_the_floor_flags_are_shown_before_handing_in(self, visitor):
        visitor.fill(description="In this valley all strangers are rats, and we say so.")
        visitor.send("preview")
        shown = visitor.page.partition('id="flagged"')[2].partition("</section>")[0]
        assert "likens people to animals" in shown
        assert "profile.yaml" in shown
