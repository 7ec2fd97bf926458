"""A community's own tests: answers that were marked wrong, put to a model again.

With options, the model must not put the wrong one first, its shares averaged over option orders;
where a better one is named, it must put that above the wrong one. A free answer must not be the
wrong one (case, blanks and marks at its ends aside); where a better answer is named, the mean log
probability of its tokens must exceed that of the wrong one's. A tie is a failure: nothing then says
that the model prefers what the community asked for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from assets.answering import greedy_answer, mean_log_probability, option_shares
from assets.compute import LIBRARIES, Dtype, load_model, prepare
from assets.rows import row_id, write_rows
from registry.method import Method, Role
from registry.profile_tests import TESTS, CommunityTest, normalised, rows_of
from registry.results import Result, Results, Verdict, Verdicts
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context


class Params(Frozen):
    """How tests are put."""

    dtype: Dtype = "bfloat16"
    """The number format of the forward pass; `chorus ask` computes in bfloat16."""


def run(context: Context) -> None:
    """Puts every test of the community to the model, retired ones too."""
    params = context.typed(Params)
    device = prepare(context)
    given = context.input("model")
    (profile,) = context.profiles
    tests = rows_of(profile.table(TESTS.file))
    rows = []
    if tests:
        model, tokenizer = load_model(given.files, device, params.dtype)
        for test in tests:
            rows.append(_row(test, _put(model, tokenizer, test)))
            context.progress(len(rows), len(tests))
    write_rows(context.out / "tests.parquet", rows, _schema())
    verdicts = [
        Verdict(test=t.id, sha256=t.sha256, passed=row["passed"], why=row["why_not"])
        for t, row in zip(tests, rows, strict=True)
    ]
    Verdicts(verdicts=tuple(verdicts)).write(context.out)
    passed = sum(verdict.passed for verdict in verdicts)
    people = len({test.by for test in tests})
    Results(results=_results(given.label, profile.id, passed, len(tests), people)).write(
        context.out
    )
    headline = {"tests": len(tests), "tests passed": passed}
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


def _put(model: Any, tokenizer: Any, test: CommunityTest) -> dict[str, Any]:
    if test.options:
        shares, _ = option_shares(model, tokenizer, test.question, test.options)
        return judge_options(test, dict(zip(test.options, shares, strict=True)))
    said = greedy_answer(model, tokenizer, test.question)
    answers = [test.wrong, *([test.better] if test.better else [])]
    logs = [mean_log_probability(model, tokenizer, test.question, a) for a in answers]
    return judge_answer(test, said, *logs)


def judge_options(test: CommunityTest, shares: dict[str, float]) -> dict[str, Any]:
    """Whether the shares of the options pass a test, with the figures that decide it."""
    first = max(shares, key=lambda option: shares[option])
    wrong = shares[test.wrong]
    better = shares[test.better] if test.better is not None else None
    why = ""
    if wrong >= shares[first]:
        first = test.wrong
        why = f"it puts {test.wrong!r} first ({wrong:.1%})"
    elif better is not None and better <= wrong:
        why = f"it puts {test.better!r} ({better:.1%}) no higher than {test.wrong!r} ({wrong:.1%})"
    return {"said": first, "why_not": why, "wrong_share": wrong, "better_share": better}


def judge_answer(
    test: CommunityTest, said: str, wrong: float, better: float | None = None
) -> dict[str, Any]:
    """Whether a free answer passes a test; `wrong` and `better` are mean log probabilities."""
    why = ""
    if normalised(said) == normalised(test.wrong):
        why = "it gives the answer that was marked wrong"
    elif better is not None and better <= wrong:
        why = f"it finds the better answer no likelier than the wrong one ({better:.3f} against {wrong:.3f} a token)"  # noqa: E501
    return {"said": said, "why_not": why, "wrong_log": wrong, "better_log": better}


def _row(test: CommunityTest, found: dict[str, Any]) -> dict[str, Any]:
    return {
        "row_id": row_id("community-test", [test.id, test.sha256]),
        "parents": [test.id],
        "test": test.id,
        "kind": test.kind,
        "question": test.question,
        "wrong": test.wrong,
        "better": test.better,
        "passed": not found["why_not"],
        "wrong_share": None,
        "better_share": None,
        "wrong_log": None,
        "better_log": None,
        **found,
    }


def _schema() -> dict[str, Any]:
    import polars

    texts = ("row_id", "test", "kind", "question", "wrong", "better", "said", "why_not")
    figures = ("wrong_share", "better_share", "wrong_log", "better_log")
    return {
        **dict.fromkeys(texts, polars.String),
        "parents": polars.List(polars.String),
        "passed": polars.Boolean,
        **dict.fromkeys(figures, polars.Float64),
    }


def _results(
    model: str, community: str, passed: int, count: int, people: int
) -> tuple[Result, ...]:
    """The share of tests that were passed; a count of all there are, so its interval is a point."""
    if not count:
        return ()
    share = passed / count
    return (
        Result(
            about=model,
            community=community,
            slice="its own tests, retired ones too",
            metric="share of tests passed",
            lower_is_better=False,
            value=share,
            low=share,
            high=share,
            items=count,
            people=people,
            beside={},
        ),
    )


method = Method(
    name="community-tests",
    kind="evaluation",
    description="Whether a model still gives answers that its community marked wrong.",
    params=Params,
    run=run,
    inputs={"model": Role("model", "the model to test")},
    reads=(TESTS.file,),
    use="evaluate",
    libraries=(*LIBRARIES, "polars"),
)
