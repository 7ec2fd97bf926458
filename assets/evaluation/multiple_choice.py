"""Questions with one right option: how often a model finds it, read in two ways.

By `letter`: options are shown with letters, in every rotation so that no place is favoured, and
the letters' next-token probabilities are read. By `text`: each option is read as the answer, and
the one with the highest mean log-probability per token is chosen; its length alone decides nothing.
The two can differ much, so that every figure says which it is.
"""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from assets.alignment.scoring import token_log_probs
from assets.alignment.sequences import TokenSequence, of_completion
from assets.compute import LIBRARIES, Dtype, load_model, prepare
from assets.evaluation.intervals import wilson
from assets.option_prompt import encode, letter_ids, next_token_probabilities, render
from assets.rows import ROWS, read_rows, write_rows
from registry.artifact import digest_of, write_atomically
from registry.errors import MethodError
from registry.method import Method, Role
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

Reading = Literal["letter", "text"]
Row = Mapping[str, Any]
_COLUMNS = ("row_id", "prompt", "options", "correct", "source", "line")
_PART = 256
_FEWEST = 2
ALL = "all questions"
NO_QUESTION = "Say one possible answer."
"""What stands instead of a question, to see how far the options alone lead."""
BLIND = "text without the question"


class Params(Frozen):
    """How questions are put."""

    readings: tuple[Reading, ...] = Field(default=("letter", "text"), min_length=1)
    """How an option is chosen: by its letter, or by its text's mean log-probability a token."""
    batch_size: int = Field(default=16, ge=1)
    """Sequences at once."""
    dtype: Dtype = "bfloat16"
    """The number format of the model."""


@dataclass(frozen=True)
class Chosen:
    """What a model found of one question, read in one way."""

    scores: tuple[float, ...]
    """One an option: a probability by letter, mean nats a token by text."""
    outside: float | None = None
    """By letter, the mean probability of no option's letter."""

    @property
    def best(self) -> tuple[int, ...]:
        """The places of the highest score."""
        highest = max(self.scores)
        return tuple(place for place, score in enumerate(self.scores) if score == highest)

    def correct(self, right: int) -> float:
        """1 where the right option is chosen; of equals, the chance of taking it among them."""
        return 1 / len(self.best) if right in self.best else 0.0


def require_questions(rows: Sequence[Row], columns: Sequence[str], where: str) -> None:
    """Raises MethodError unless every row is a question with options of which one is right."""
    if lacking := [name for name in _COLUMNS if name not in columns]:
        raise MethodError(
            f"has no column {lacking[0]!r}",
            where=where,
            why="there is nothing to choose, or nothing to check a choice with",
            mend="give questions made by `choice-questions`",
        )
    if not rows:
        raise MethodError("holds no questions", where=where)
    for row in rows:
        place = _place(row)
        if len(row["options"]) < _FEWEST:
            raise MethodError(f"has {len(row['options'])} options", where=place,
                              mend="give two or more, or delete the question")  # fmt: skip
        if not 0 <= row["correct"] < len(row["options"]):
            raise MethodError(f"says that option {row['correct'] + 1} of {len(row['options'])} "
                              "is right", where=place, mend="correct the label")  # fmt: skip


def _place(row: Row) -> str:
    return f"{row['source']}:{row['line']}"


def by_letter(model: Any, tokenizer: Any, rows: Sequence[Row], batch_size: int) -> list[Chosen]:
    """The mean probability of each option's letter, over every rotation of the options."""
    letters = letter_ids(tokenizer, max(len(row["options"]) for row in rows))
    asked = [(place, turn) for place, row in enumerate(rows) for turn in range(len(row["options"]))]
    encoded = [
        encode(tokenizer, render(row["prompt"], [*row["options"][turn:], *row["options"][:turn]]))
        for place, turn in asked
        for row in [rows[place]]
    ]
    sums = [[0.0] * len(row["options"]) for row in rows]
    outside = [0.0] * len(rows)
    ordered = sorted(range(len(asked)), key=lambda index: (len(encoded[index]), index))
    for start in range(0, len(ordered), batch_size):
        chosen = ordered[start : start + batch_size]
        found = next_token_probabilities(model, tokenizer, [encoded[i] for i in chosen])
        for index, shown in zip(chosen, found[:, letters].tolist(), strict=True):
            place, turn = asked[index]
            count = len(sums[place])
            for letter, probability in enumerate(shown[:count]):
                sums[place][(letter + turn) % count] += probability / count
            outside[place] += max(0.0, 1 - sum(shown[:count])) / count
    return [Chosen(tuple(one), out) for one, out in zip(sums, outside, strict=True)]


def by_text(
    model: Any, tokenizer: Any, rows: Sequence[Row], batch_size: int, *, question: bool = True
) -> list[Chosen]:
    """The mean log-probability of each option's tokens as the answer, in nats; no end of turn.

    Raises:
        MethodError: Where two options are the same tokens, or one is none.
    """
    sequences: list[TokenSequence] = []
    for row in rows:
        prompt = row["prompt"] if question else NO_QUESTION
        own = [option_sequence(tokenizer, prompt, option) for option in row["options"]]
        require_different(row, own)
        sequences += own
    ordered = sorted(range(len(sequences)), key=lambda index: (len(sequences[index].ids), index))
    scores: dict[int, float] = {}
    for start in range(0, len(ordered), batch_size):
        chosen = ordered[start : start + batch_size]
        scores |= _mean_nats(model, tokenizer, sequences, chosen)
    found, place = [], 0
    for row in rows:
        count = len(row["options"])
        found.append(Chosen(tuple(scores[place + option] for option in range(count))))
        place += count
    return found


def option_sequence(tokenizer: Any, prompt: str, option: str) -> TokenSequence:
    """A prompt and an option as its answer, without what ends a turn."""
    chat = bool(tokenizer.chat_template)
    whole = of_completion(tokenizer, prompt, option if chat else f" {option}", chat=chat)
    ends = whole.ids[-1] == tokenizer.eos_token_id
    return TokenSequence(whole.ids[:-1], whole.learned[:-1]) if ends else whole


def require_different(row: Row, sequences: Sequence[TokenSequence]) -> None:
    """Raises MethodError where a model cannot tell a question's options apart."""
    tokens = [tuple(t for t, on in zip(s.ids, s.learned, strict=True) if on) for s in sequences]
    for place, one in enumerate(tokens):
        if not one:
            raise MethodError(
                f"the option {row['options'][place]!r} is no token at all",
                where=_place(row),
                why="it has no probability",
                mend="write the option out, or delete the question",
            )
        if one in tokens[:place]:
            other = row["options"][tokens.index(one)]
            raise MethodError(
                f"the options {other!r} and {row['options'][place]!r} are the same tokens",
                where=_place(row),
                why="the model cannot tell them apart",
                mend="word them differently, or delete the question",
            )


def _mean_nats(
    model: Any, tokenizer: Any, sequences: Sequence[TokenSequence], chosen: Sequence[int]
) -> dict[int, float]:
    import torch

    first = min(sequences[i].learned.index(True) for i in chosen)
    pad = tokenizer.pad_token_id or 0
    with torch.inference_mode():
        given = token_log_probs(model, [sequences[i].ids for i in chosen], first, pad).cpu()
    found = {}
    for place, index in enumerate(chosen):
        learned = torch.tensor(sequences[index].learned[first:])
        found[index] = float(given[place, : len(learned)][learned].double().mean())
    return found


def in_parts(
    rows: Sequence[Row],
    read: Callable[[Sequence[Row]], list[Chosen]],
    folder: Path,
    progress: Callable[[int], None],
) -> list[Chosen]:
    """What a reading finds of all questions; parts that an earlier attempt left are not read again.

    Raises:
        MethodError: Where a score is no finite number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Chosen] = []
    for start in range(0, len(rows), _PART):
        chosen = rows[start : start + _PART]
        path = folder / f"{start:08d}-{digest_of([row['row_id'] for row in chosen])[:16]}.npy"
        if not path.is_file():
            _keep(path, read(chosen))
        found += _kept(path, chosen)
        progress(len(found))
    wrong = next(
        (i for i, one in enumerate(found) if not all(map(math.isfinite, one.scores))), None
    )
    if wrong is not None:
        raise MethodError(
            "the model gives an option a score that is no number",
            where=_place(rows[wrong]),
            mend="make the model again; its weights are broken",
        )
    return found


def _keep(path: Path, found: Sequence[Chosen]) -> None:
    import numpy

    width = max(len(one.scores) for one in found)
    table = numpy.full((len(found), width + 1), numpy.nan)
    for place, one in enumerate(found):
        table[place, 0] = numpy.nan if one.outside is None else one.outside
        table[place, 1 : len(one.scores) + 1] = one.scores
    stream = io.BytesIO()
    numpy.save(stream, table, allow_pickle=False)
    write_atomically(path, stream.getvalue())


def _kept(path: Path, rows: Sequence[Row]) -> Iterator[Chosen]:
    import numpy

    for row, values in zip(rows, numpy.load(path, allow_pickle=False).tolist(), strict=True):
        outside = None if math.isnan(values[0]) else values[0]
        yield Chosen(tuple(values[1 : len(row["options"]) + 1]), outside)


def floors(rows: Sequence[Row]) -> dict[str, float]:
    """What somebody gets right who reads no question: by chance, by place, by length."""
    chance = sum(1 / len(row["options"]) for row in rows) / len(rows)
    places = Counter(row["correct"] for row in rows)
    longest = []
    for row in rows:
        lengths = [len(option) for option in row["options"]]
        best = [place for place, length in enumerate(lengths) if length == max(lengths)]
        longest.append(1 / len(best) if row["correct"] in best else 0.0)
    return {
        "chance": chance,
        "always the commonest place": max(places.values()) / len(rows),
        "always the longest option": sum(longest) / len(rows),
    }


_METRICS: Mapping[Reading, str] = {
    "letter": "accuracy, by letter",
    "text": "accuracy, by mean log-probability a token",
}


def _result(
    about: str, metric: str, correct: Sequence[float], beside: Mapping[str, float]
) -> Result:
    value = sum(correct) / len(correct)
    low, high = wilson(value, len(correct))
    return Result(
        about=about,
        slice=ALL,
        metric=metric,
        lower_is_better=False,
        value=value,
        low=low,
        high=high,
        items=len(correct),
        beside=dict(beside),
    )


def _choice_rows(
    rows: Sequence[Row], reading: str, found: Sequence[Chosen]
) -> Iterator[dict[str, Any]]:
    for row, one in zip(rows, found, strict=True):
        yield {
            "row_id": f"{row['row_id']}-{reading}",
            "parents": [row["row_id"]],
            "reading": reading,
            "scores": list(one.scores),
            "outside": one.outside,
            "chosen": one.best[0],
            "correct": row["correct"],
            "right": one.correct(row["correct"]),
        }


def read_all(context: Context, params: Params, rows: Sequence[Row]) -> dict[str, list[Chosen]]:
    """What the model finds in every reading, and in `BLIND`, where the question is not shown."""
    device = prepare(context)
    model, tokenizer = load_model(context.input("model").files, device, params.dtype)
    size = params.batch_size
    ways: dict[str, Callable[[Sequence[Row]], list[Chosen]]] = {
        "letter": lambda part: by_letter(model, tokenizer, part, size),
        "text": lambda part: by_text(model, tokenizer, part, size),
        BLIND: lambda part: by_text(model, tokenizer, part, size, question=False),
    }
    wanted = [*params.readings, *([BLIND] if "text" in params.readings else [])]
    found: dict[str, list[Chosen]] = {}
    for number, name in enumerate(wanted):

        def progress(done: int, before: int = number * len(rows)) -> None:
            context.progress(before + done, len(wanted) * len(rows))

        found[name] = in_parts(rows, ways[name], context.work / name.replace(" ", "-"), progress)
    return found


def results_of(
    about: str, rows: Sequence[Row], found: Mapping[str, Sequence[Chosen]]
) -> list[Result]:
    """The accuracy of each reading, with Wilson's interval and what stands beside it."""
    right = {
        name: [one.correct(row["correct"]) for one, row in zip(chosen, rows, strict=True)]
        for name, chosen in found.items()
    }
    results = []
    for reading, metric in _METRICS.items():
        if reading in right:
            beside = floors(rows)
            if reading == "text":
                beside["without the question"] = sum(right[BLIND]) / len(rows)
            results.append(_result(about, metric, right[reading], beside))
    return results


def run(context: Context) -> None:
    """Puts every question in every reading."""
    import polars

    params = context.typed(Params)
    given = context.input("questions")
    table = read_rows(given.files / ROWS)
    rows = table.to_dicts()
    require_questions(rows, table.columns, given.label)
    found = read_all(context, params, rows)
    text, figure = polars.String, polars.Float64
    schema = {"row_id": text, "parents": polars.List(text), "reading": text,
              "scores": polars.List(figure), "outside": figure, "chosen": polars.Int32,
              "correct": polars.Int32, "right": figure}  # fmt: skip
    chosen = [row for name, one in found.items() for row in _choice_rows(rows, name, one)]
    write_rows(context.out / "choices.parquet", chosen, schema)
    results = results_of(context.input("model").label, rows, found)
    Results(results=tuple(results)).write(context.out)
    headline = {one.metric: one.value for one in results} | floors(rows)
    if "letter" in found:
        outside = [one.outside or 0.0 for one in found["letter"]]
        headline["mean probability outside the letters"] = sum(outside) / len(outside)
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


method = Method(
    name="multiple-choice",
    kind="evaluation",
    description="How often a model finds the right one of several options, read in two ways.",
    params=Params,
    run=run,
    inputs={
        "model": Role("model", "the model to measure", form="language model"),
        "questions": Role("dataset", "questions with options of which one is right"),
    },
    libraries=(*LIBRARIES, "polars"),
)
