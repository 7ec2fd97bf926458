"""Languages and near repetitions of texts, for contracts and for `chorus quality`.

Both are what the row filter uses, so that a contract and a filter with the same aim agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from assets.diversity.filtering.language import READ, detector, foreignness, wanted
from assets.diversity.filtering.minhash import nearest_kept, signatures
from assets.diversity.filtering.shingles import normalised, sequences, words
from assets.diversity.filtering.steps import LanguageStep

_STEP = LanguageStep(kind="language")
_FEW_LETTERS = 20
"""Letters below which a language cannot be told."""
_SURE = 0.5
"""How likely a language is at least, to be called that."""
_PERMUTATIONS, _WORDS, _ALIKE = 128, 5, 0.8
"""As in the usual near-duplicate filter: sequences of five words, a Jaccard similarity of 0.8."""
UNKNOWN = "und"
"""The tag of a text whose language cannot be told (ISO 639-2)."""


class _Texts:
    """Offered to the registry by the entry point `chorus.texts`."""

    def foreign(self, texts: Sequence[str], languages: Sequence[str]) -> list[bool]:
        """Which texts are surely in none of these languages; none where they cannot be judged."""
        found = detector()
        accepted = wanted(languages, found.labels)
        if not accepted:
            return [False] * len(texts)
        return [
            foreignness(text, accepted, _STEP.letters, _STEP.mixing == "keep", found)
            >= _STEP.threshold
            for text in texts
        ]

    def languages(self, texts: Sequence[str]) -> Mapping[str, int]:
        """How many texts are in each language, the most frequent first."""
        found, counted = detector(), Counter[str]()
        for text in texts:
            read = text[:READ]
            enough = sum(c.isalpha() for c in read) >= _FEW_LETTERS
            code, likely = found.rank(read)[0] if enough else (UNKNOWN, 1.0)
            counted[code if likely >= _SURE else UNKNOWN] += 1
        return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))

    def repeated(self, texts: Sequence[str]) -> list[int | None]:
        """For each text, the place of an earlier one that it nearly repeats."""
        import numpy
        import polars

        plain = normalised(polars.Series(texts, dtype=polars.String)).to_list()
        signed = signatures(sequences(words(plain), _WORDS, short=True), _PERMUTATIONS)
        near = nearest_kept(
            signed, numpy.arange(len(texts)), numpy.ones(len(texts), dtype=bool), _ALIKE
        )
        return [
            int(cause) if score >= _ALIKE else None
            for score, cause in zip(near.score.tolist(), near.cause.tolist(), strict=True)
        ]


texts = _Texts()
"""The one that is offered."""
