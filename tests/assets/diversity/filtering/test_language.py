"""Languages: only what is surely foreign goes."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from assets.diversity.filtering import language
from registry.errors import UsageError
from tests.assets.diversity.filtering.conftest import Filter, kept, left_out, profile, row

FRENCH = (
    "Bonjour à tous, je voudrais savoir comment préparer une bonne soupe à l'oignon pour le repas "
    "de dimanche avec toute la famille réunie autour de la grande table de la cuisine."
)
GERMAN = (
    "Die Nachbarschaftsversammlung hat gestern beschlossen, dass der alte Brunnen auf dem "
    "Marktplatz wieder hergestellt werden soll, sobald genug Geld dafür gesammelt worden ist."
)
ENGLISH = (
    "The allotment society meets on the first Thursday of the month, and anyone who can lend a "
    "wheelbarrow for the weekend is asked to leave it by the gate before noon."
)
STAYS = {
    "African American English": (
        "He been workin at that shop since way back, ain't nobody gon tell him how to fix no "
        "engine, you feel me, and she finna go down there tomorrow mornin too, I'm tellin you."
    ),
    "chat spelling": (
        "lol idk y u r so mad abt it tbh i wuz jus tryna help u out w/ ur hw, ppl always b trippin "
        "ova nothin smh, gtg ttyl k? pls dnt tell ur mum bout dis ok cuz she wil b so mad at me"
    ),
    "Scots": (
        "Ah dinnae ken whit ye're on aboot, the wee bairn wis greetin aw nicht an ah couldnae get "
        "ony sleep, ye ken whit it's like wi a new yin in the hoose and the rain comin doon."
    ),
    "Nigerian Pidgin": (
        "Wetin dey happen for dis town sef, light no dey since morning, we don tire to dey buy "
        "fuel every day, abeg make government do something before person go vex for here."
    ),
    "Jamaican Patois": (
        "Di wol a mi fambli dem deh a yaad an mi a guh see dem inna di maanin, yu waan come wid mi "
        "or yu a stay inna town fi di weekend, mek mi know before di bus lef."
    ),
    "Spanglish": (
        "Mi abuela always says que no hay que trust the weather in April porque it changes every "
        "five minutes, y siempre tiene razón, you know, así que bring an umbrella mañana."
    ),
    "Hinglish": (
        "Yaar kal main office gaya tha but boss was not there so we just chilled, had chai and "
        "then I came back ghar by evening only, itna kaam tha but nobody was doing anything."
    ),
    "one English sentence": (
        f"{FRENCH} {FRENCH} And then she told me that I should simply ask the cook about it "
        f"instead. {FRENCH}"
    ),
    "a short text": "Je ne sais pas, merci bien.",
    "a formula": "12 + 34 - 56 * (78 / 9) = x; y = 3 * x + 2; z = (x - y) / 4 " * 5,
    "code": "for i in range(10):\n    x[i] = f(x[i - 1]) + g[i] * 2\n" * 10,
    "nothing": "",
}
STEP = {"kind": "language", "languages": ["en-US"]}


@pytest.mark.parametrize("name", STAYS)
def test_dialects_mixing_and_short_texts_stay(name: str, run_filter: Filter) -> None:
    assert kept(run_filter([row(0, STAYS[name])], STEP)) == ["row-0"]


def test_long_rows_in_another_language_go(run_filter: Filter) -> None:
    rows = [row(0, FRENCH, GERMAN), row(1, ENGLISH), row(2, GERMAN * 3), row(3, "Say:", FRENCH)]
    made = run_filter(rows, STEP)
    assert kept(made) == ["row-1"]
    found = left_out(made)["row-2"]
    assert found["reason"] == "is surely not in en-US"
    assert found["score"] > 0.99


def test_the_profile_names_the_languages(run_filter: Filter, tmp_path: Path) -> None:
    rows = [
        row(0, FRENCH, community="north"),
        row(1, FRENCH, community="south"),
        row(2, FRENCH, community=None),
        row(3, ENGLISH, community="north"),
    ]
    profiles = [
        profile("north", tmp_path, languages=["en", "de-CH"], off_limits=None),
        profile("south", tmp_path, languages=["fr"], off_limits=None),
    ]
    made = run_filter(rows, {"kind": "language"}, profiles=profiles)
    assert kept(made) == ["row-1", "row-2", "row-3"]
    assert left_out(made)["row-0"]["reason"] == "is surely not in en, de-CH"
    own = run_filter(rows, {"kind": "language"}, profiles=profiles[1:], community="south")
    assert kept(own) == ["row-0", "row-1", "row-2"]


def test_a_language_that_the_detector_does_not_know_cannot_be_missed(
    run_filter: Filter, tmp_path: Path
) -> None:
    known = profile("north", tmp_path, languages=["haw", "en"], off_limits=None)
    made = run_filter([row(0, FRENCH, community="north")], {"kind": "language"}, profiles=[known])
    assert kept(made) == ["row-0"]
    note = pl.read_parquet(made.out / "steps.parquet")["note"][0]
    assert note == "the detector cannot judge en, haw: those rows stay"


def test_mixed_texts_go_only_where_the_declaration_says_so(run_filter: Filter) -> None:
    mixed = [row(0, STAYS["one English sentence"])]
    assert kept(run_filter(mixed, {**STEP, "mixing": "leave out"})) == []


def test_relatives_of_a_wanted_language_are_wanted() -> None:
    known = language.detector().labels
    assert {"no", "nn", "da", "sv"} <= language.wanted(["nb"], known)
    assert "pcm" in language.wanted(["en-GB"], known)
    assert language.wanted(["tlh"], known) == frozenset()


def test_no_language_at_all_is_an_error(run_filter: Filter) -> None:
    with pytest.raises(UsageError, match="community-row-filter"):
        run_filter([row(0, FRENCH)], {"kind": "language"})
