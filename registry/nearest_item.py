"""Which item of the profiles lies nearest to a question, and whether it was asked at all.

Similarity is the cosine of two sentence embeddings, computed by what the entry-point group
`chorus.similarities` offers. It says that two sentences have a topic in common, and nothing of what
is said about it: a question and its opposite lie close together.

`NEAR` was chosen on the shipped questionnaire (43 items in 4 wordings). At 0.65 a wording of an
item is *near* another wording of the same item in 94 % of cases, near an item that shares its
battery in 57 %, and near an item of another battery, which is another topic, in 3 %. `python -m
benchmarks.nearest_item` prints the figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, Protocol

from registry.errors import ChorusError
from registry.held_out import kept_back
from registry.profile_folder import Profile
from registry.profile_preview import held_out_share
from registry.profile_tables import EXAMPLES, GUIDANCE, NORMS, OPINIONS, PREFERENCES, held_out
from registry.profile_tests import normalised
from registry.strict_yaml import read

GROUP = "chorus.similarities"
NEAR = 0.65
"""The similarity at and above which two sentences have a topic in common."""
MAX_COMPARED = 400
"""Texts that are compared, a few seconds' work; of more, those that share most words with it."""
UNSEEN = "unseen"
"""The wording of a questionnaire that only evaluations read."""

Label = Literal["asked", "near", "never asked", "unknown"]


class Similarities(Protocol):
    """Compares a question with texts."""

    def __call__(self, question: str, texts: Sequence[str]) -> list[float]:
        """The cosine of the question with each text."""
        ...


@dataclass(frozen=True)
class Wording:
    """One wording of one item of a profile."""

    profile: str
    table: str
    item: str
    text: str
    held_out: bool
    """Whether it is kept for evaluations, so that no model learned from it."""


@dataclass(frozen=True)
class Nearest:
    """What is known of a question before a model answers it."""

    label: Label
    """`asked` in these words, `near` to something that was, or `never asked`."""
    wording: Wording | None
    """The wording that lies nearest."""
    similarity: float | None
    """How near: 1 for the same words; None where nothing could be compared."""
    why: str = ""
    """Why nothing could be compared."""

    @property
    def sentences(self) -> list[str]:
        """What a person reads beside the answer."""
        if self.wording is None:
            return [f"{self.label}: {self.why or 'its profiles hold no questions'}"]
        place = f"{self.wording.item} of {self.wording.profile}"
        kept = " No model learned from these words: they are kept for measuring."
        kept = kept if self.wording.held_out else ""
        if self.label == "asked":
            return [f"asked: these words are {place}.{kept}"]
        shown = "" if self.similarity is None else f" (similarity {self.similarity:.2f})"
        found = f"{place}{shown}: {self.wording.text!r}"
        if self.label == "near":
            return [
                f"near: the same topic as {found}{kept}",
                "Near means the same topic, never the same answer: opposites lie near too.",
            ]
        return [f"{self.label}: the nearest item is {found}"]

    def to_json(self) -> dict[str, Any]:
        """The label and the nearest item as JSON."""
        item = vars(self.wording) if self.wording else None
        return {
            "label": self.label,
            "similarity": self.similarity,
            "nearest": item,
            "threshold": NEAR,
            "sentences": self.sentences,
        }


def nearest_item(profiles: Iterable[Profile], root: Path, question: str) -> Nearest:
    """The item of the profiles that lies nearest to a question."""
    known = [wording for profile in profiles for wording in wordings(profile, root)]
    plain = normalised(question)
    same = [wording for wording in known if normalised(wording.text) == plain]
    if same:
        # Two communities may hold the same words; one that a model learned from says more.
        return Nearest("asked", min(same, key=lambda wording: wording.held_out), 1.0)
    if not known:
        return Nearest("never asked", None, None)
    points = {point.name: point for point in entry_points(group=GROUP)}
    if "default" not in points:
        return Nearest("unknown", None, None, "no installed package compares sentences")
    compare: Similarities = points["default"].load()
    texts = _likeliest(plain, list(dict.fromkeys(wording.text for wording in known)))
    try:
        found = compare(question, texts)
    except ChorusError as error:
        return Nearest("unknown", None, None, f"{error.what} ({error.mend})")
    score, text = max(zip(found, texts, strict=True), key=lambda pair: pair[0])
    wording = min((w for w in known if w.text == text), key=lambda w: w.held_out)
    return Nearest("near" if score >= NEAR else "never asked", wording, round(score, 4))


def _likeliest(question: str, texts: list[str]) -> list[str]:
    """The texts that are worth comparing: all, or those with most words of the question."""
    if len(texts) <= MAX_COMPARED:
        return texts
    words = set(question.split())

    def shared(text: str) -> float:
        own = set(normalised(text).split())
        return len(words & own) / len(words | own)

    return sorted(texts, key=shared, reverse=True)[:MAX_COMPARED]


_ASKED = {
    EXAMPLES.file: "prompt",
    PREFERENCES.file: "prompt",
    NORMS.file: "situation",
    GUIDANCE.file: "when",
}
"""The column of each table that says what was asked."""


def wordings(profile: Profile, root: Path) -> Iterator[Wording]:
    """Every question of a profile in every wording: survey items, prompts and situations."""
    tables = profile.tables()
    opinions = profile.profile.opinions
    share = held_out_share(root, opinions.instrument) if opinions else 0.0
    back = set(kept_back(profile, share))
    for table, column in _ASKED.items():
        for row in tables[table].rows if table in tables else ():
            kept = (table, row.id) in back
            yield Wording(profile.id, table, row.id, getattr(row, column), kept)
    yield from _survey(profile, root, tables, share)


def _survey(
    profile: Profile, root: Path, tables: dict[str, Any], share: float
) -> Iterator[Wording]:
    """The items that people of the profile answered, in every wording of the questionnaire."""
    opinions = profile.profile.opinions
    rows = tables[OPINIONS.file].rows if OPINIONS.file in tables else ()
    if opinions is None or not rows:
        return
    answered = {row.item for row in rows}
    path = root / "registry" / "instruments" / f"{opinions.instrument}.yaml"
    document = read(path, path.name)[0] if path.is_file() else None
    for battery in (document.data.get("batteries", {}) if document else {}).values():
        for item in [item for item in battery["items"] if item in answered]:
            kept = held_out(opinions.instrument, item, share)
            for name, stem in battery["wordings"].items():
                text = stem.replace("{item}", battery["items"][item].get(name, ""))
                unseen = kept or name == UNSEEN
                yield Wording(profile.id, OPINIONS.file, item, text, unseen)
