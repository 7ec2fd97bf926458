"""Words in wanted languages are counted; what is too short to be told counts as wanted."""

from __future__ import annotations

import pytest

from assets.alignment.reward_language import accepted_languages, wanted_share
from registry.errors import MethodError

ENGLISH = "The boat came back to the harbour before the storm had reached the shore."
GERMAN = "Das Boot kam in den Hafen zurück, bevor der Sturm die Küste erreicht hatte."
CHINESE = "船在暴风雨到达海岸之前回到了港口"


def share(text, *languages):
    return wanted_share(text, accepted_languages(languages, "node"), 20)


def test_a_text_in_one_language_is_all_or_nothing():
    assert share(ENGLISH, "en-US") == pytest.approx(1, abs=0.01)
    assert share(GERMAN, "en") == pytest.approx(0, abs=0.01)
    assert share(GERMAN, "de", "en") == pytest.approx(1, abs=0.01)


def test_a_text_that_mixes_is_paid_by_its_words():
    found = share(f"{ENGLISH} {GERMAN}", "en")
    assert found == pytest.approx(14 / 28, abs=0.05)


def test_writing_of_another_script_is_told_inside_a_sentence():
    found = share(f"We think that {CHINESE} is what they said at home.", "en")
    assert 0.3 < found < 0.5  # 10 words of English, 16 letters of Chinese
    assert share(CHINESE, "zh") == pytest.approx(1, abs=0.01)


def test_short_words_formulas_and_names_count_as_wanted():
    assert share("4", "en") == 1
    assert share("x = 3 * (4 + 5)", "en") == 1
    assert share("Ja.", "en") == 1


def test_a_text_without_words_gets_nothing():
    assert share("", "en") == 0
    assert share(" ... ", "en") == 0


def test_a_language_that_cannot_be_judged_is_refused():
    with pytest.raises(MethodError, match="cannot judge tlh") as caught:
        accepted_languages(("tlh",), "node")
    assert "language" in caught.value.mend
