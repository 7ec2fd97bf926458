"""The report on planted evaluations, where every sentence is known beforehand."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from assets.evaluation import hivemind, report
from assets.evaluation.report import Params, slugs_of
from assets.evaluation.report_document import clean
from assets.evaluation.report_estimates import (
    APART,
    Difference,
    Missing,
    bracketed,
    matched_shares,
    paired,
)
from assets.evaluation.report_plots import in_page
from assets.evaluation.validity import distinct_among
from assets.rows import read_rows, write_rows
from registry.context import Input, ProfileView
from registry.errors import MethodError
from registry.results import Result, Results, read_results
from tests.assets.encoders import write_tiny_encoder
from tests.assets.evaluation.planted import HELD, LEARNED, World, planted_world, uniform

if TYPE_CHECKING:
    from tests.assets.conftest import Build

SURVEY = {"kind": "survey-population"}
SPEAKS_FOR_NO_ONE = "Nobody who answered has endorsed this model; it speaks for no one."
COUNTRIES = ("Mali", "Chad", "Togo", "Kenya", "Ghana", "Niger")


def profiles(names: Mapping[str, str] = {}) -> tuple[ProfileView, ...]:
    return tuple(ProfileView(c, names.get(c, c), Path(), (), SURVEY) for c in HELD)


@pytest.fixture(scope="module")
def world(build: Build, tmp_path_factory: pytest.TempPathFactory) -> World:
    return planted_world(build, tmp_path_factory.mktemp("profiles"))


def plural(world: World, *, pooled: bool = True) -> Input:
    """Own models know their people, the one for all knows the mean, the base nothing."""

    def mean(item: str, _: str, __: str) -> tuple[float, ...]:
        both = zip(LEARNED["north"][item], LEARNED["south"][item], strict=True)
        return tuple((a + b) / 2 for a, b in both)

    models = [world.plant("base", None, uniform)]
    models += [world.plant("pooled", None, mean)] if pooled else []
    models += [world.plant("own", c, lambda item, _, __, c=c: HELD[c][item]) for c in HELD]
    return Input("pluralism", None, world.evaluate(*models, ordinal=("p",)).files)


@pytest.fixture(scope="module")
def pluralism(world: World) -> Input:
    return plural(world)


def accuracy_of(build: Build, model: str, right: Sequence[bool], ids: Sequence[str] = ()) -> Input:
    """A verified-accuracy evaluation of a model that got these tasks right."""
    folder = build(Params()).out
    names = ids or [f"task-{place}" for place in range(len(right))]
    rows = [
        {"row_id": f"{model}-{name}", "parents": [name], "correct": found}
        for name, found in zip(names, right, strict=True)
    ]
    write_rows(folder / "answers.parquet", rows)
    share = sum(right) / len(right)
    Results(
        results=(
            Result(about=model, slice="all kinds of task", metric="verified accuracy",
                   lower_is_better=False, value=share, low=0, high=1, items=len(right),
                   beside={"always the commonest answer": 0.1}),
        )
    ).write(folder)  # fmt: skip
    return Input(f"accuracy-{model}", None, folder)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


def likeness_of(
    build: Build, encoder: Path, said: Mapping[str, Callable[[str, int], str]], **drawn: Any
) -> Input:
    """A real hivemind evaluation of answers to four open prompts and two that can be counted."""
    prompts = build(Params()).out
    countable = [{"row_id": f"count-{n}", "valid_answers": list(COUNTRIES)} for n in range(2)]
    write_rows(prompts / "rows.parquet", countable)
    answers = []
    for model, text in said.items():
        folder = build(Params()).out
        sampling = json.dumps({"temperature": 1.0, "max_new_tokens": 16} | drawn.get(model, {}))
        rows = [
            {"row_id": f"{model}-{prompt}-{n}", "prompt_id": prompt, "prompt": prompt,
             "text": text(prompt, n), "model": model, "chat_template": True, "sampling": sampling,
             "sample": n}
            for prompt in ("open-0", "open-1", "open-2", "open-3", "count-0", "count-1")
            for n in range(4)
        ]  # fmt: skip
        write_rows(folder / "answers.parquet", rows)
        answers.append(Input(f"answers-{model}", None, folder))
    context = build(
        hivemind.Params(resamples=50),
        inputs={"answers": answers, "encoder": encoder, "prompts": prompts},
    )
    hivemind.run(context)
    return Input("hivemind", None, context.out)


def varied(prompt: str, n: int) -> str:
    return COUNTRIES[n] if prompt.startswith("count") else f"{prompt} word{n} thing{n * 7} at{n}"


def same(prompt: str, _: int) -> str:
    return COUNTRIES[0] if prompt.startswith("count") else f"{prompt} one thing"


def make(
    build: Build, pluralism: Input, *, names: Mapping[str, str] = {}, params: Params | None = None,
    **roles: Sequence[Input],
) -> Path:  # fmt: skip
    chosen = params or Params(base="base", pooled=("pooled",))
    context = build(chosen, inputs={"pluralism": [pluralism], **roles}, profiles=profiles(names))
    report.run(context)
    return context.out


@pytest.fixture(scope="module")
def bare(build: Build, pluralism: Input) -> Path:
    return make(build, pluralism)


def summary_of(files: Path) -> Any:
    return json.loads((files / "summary.json").read_text())


class Page(HTMLParser):
    """What a page holds: its tags with attributes, and its text without style and pictures."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "use", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} closes something else"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and "svg" not in self.open:
            self.words.append(data)

    @property
    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}


def test_the_first_screen_answers_who_by_how_much_and_at_what_cost(bare: Path) -> None:
    text = Page(bare / "index.html").text
    assert "Each of the 2 groups its own (own): it is the nearest of all models." in text
    assert "own models are nearer than pooled for 2 of 2 groups" in text
    assert "At what cost in reasoning? Not measured: no evaluation of reasoning was given." in text
    assert "At what cost in diversity? Not measured: no evaluation of diversity was given." in text
    assert text.index("At what cost in diversity?") < text.index("Group by group")
    assert SPEAKS_FOR_NO_ONE in text


def test_differences_are_those_of_the_pluralism_evaluation(bare: Path, pluralism: Input) -> None:
    rows = read_rows(pluralism.files / "comparisons.parquet").to_dicts()
    for group in summary_of(bare)["groups"]:
        own = f"own@{group['community']}"
        assert (group["own"], group["served_best_by"], group["pooled"]) == (own, own, "pooled")
        for found in (r for r in group["comparisons"] if r["kind"] == "pooled"):
            part = found["slice"]
            (row,) = (
                r for r in rows
                if (r["slice"], r["community"], r["model"], r["rival"])
                == (part, group["community"], own, "pooled")
            )  # fmt: skip
            assert (found["difference"], found["low"]) == (row["difference"], row["low"])
            assert found["people"] == row["people"] == 400


def test_every_figure_on_the_page_is_in_the_evaluation(bare: Path, pluralism: Input) -> None:
    page = Page(bare / "index.html").text
    for row in read_rows(pluralism.files / "figures.parquet").to_dicts():
        if row["metric"] == "total variation" and row["kind"] == "model" and row["community"]:
            assert bracketed(row["value"], row["low"], row["high"]) in page
    assert "at least 400 people" in page


@pytest.mark.parametrize("suffix", ["html", "md"])
def test_each_page_names_what_it_was_made_from(bare: Path, pluralism: Input, suffix: str) -> None:
    (made_from,) = summary_of(bare)["made_from"]
    assert made_from["node"] == "pluralism"
    assert len(made_from["content"]) == 64
    pages = sorted(bare.rglob(f"*.{suffix}"))
    assert len(pages) == (5 if suffix == "html" else 6)
    for path in pages:
        if path.name != report.IN_SHORT:
            text = path.read_text(encoding="utf-8")
            assert made_from["content"] in text
            assert "speaks for no one" in text


def test_pages_load_nothing_and_run_nothing(bare: Path) -> None:
    for path in bare.rglob("*.html"):
        page = Page(path)
        assert not page.names & {"script", "link", "img", "iframe", "object", "form"}
        assert not page.open
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        for tag, attributes in page.tags:
            assert not any(name.startswith("on") for name in attributes)
            for name in ("href", "src", "xlink:href"):
                found = attributes.get(name) or "#"
                assert not re.match(r"(?i)[a-z]+:|//", found), (tag, found)
                if found.endswith(".html"):
                    assert (path.parent / found).is_file()
                if found.startswith("#") and found != "#":
                    assert found[1:] in ids


def test_markdown_has_its_pictures_and_pages_beside_it(bare: Path) -> None:
    for path in bare.rglob("*.md"):
        links = re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
        assert links or path.name == report.IN_SHORT
        for link in links:
            assert (path.parent / link).is_file(), link
    for path in bare.rglob("*.png"):
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.size[0] > 500


def test_what_was_made_twice_is_the_same(build: Build, pluralism: Input, bare: Path) -> None:
    again = make(build, pluralism)
    for path in bare.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(bare)).read_bytes(), path


def test_costs_are_paired_and_said_in_words(build: Build, pluralism: Input, encoder: Path) -> None:
    right = [True] * 30 + [False] * 10
    reasoning = [
        accuracy_of(build, "base", right),
        accuracy_of(build, "own@north", [False] * 20 + right[20:]),
        accuracy_of(build, "own@south", right),
        accuracy_of(build, "pooled", right[:20], [f"other-{n}" for n in range(20)]),
    ]
    said = {"base": varied, "own@north": same, "own@south": varied}
    likeness = likeness_of(build, encoder, said)
    files = make(build, pluralism, reasoning=reasoning, diversity=[likeness])
    text = Page(files / "index.html").text
    assert (
        "Verified accuracy: cannot be told apart for 1 of 2 models, lower for 1 of 2 models" in text
    )
    assert "-0.500 (-0.634 to -0.318), minus base; 40 tasks" in text
    assert "base was given other tasks" in text
    assert "Likeness of its answers to one prompt" in text
    results = {(r.about, r.metric): r for r in read_results(files)}
    lost = results["own@north", "verified accuracy, minus base"]
    assert (lost.value, lost.items, lost.lower_is_better) == (-0.5, 40, False)
    assert lost.high < 0
    assert results["own@south", "verified accuracy, minus base"].value == 0
    alike = results["own@north", "likeness of its answers to one prompt, minus base"]
    assert alike.lower_is_better
    assert alike.low > 0
    assert alike.items == 4
    fewer = results["own@north", "different right answers among as many, minus base"]
    assert fewer.value == pytest.approx(-3)
    assert results["own@south", "different right answers among as many, minus base"].value == 0
    assert results["own@north", "share of right answers, minus base"].value == 0
    assert (files / "cost.png").is_file()
    headline = json.loads((files / "headline.json").read_text())
    assert headline["reasoning: verified accuracy, mean change"] == pytest.approx(-0.25)


def test_answers_drawn_otherwise_are_not_compared(
    build: Build, pluralism: Input, encoder: Path
) -> None:
    said = {"base": varied, "own@north": same}
    drawn = {"own@north": {"max_new_tokens": 32}}
    files = make(build, pluralism, diversity=[likeness_of(build, encoder, said, **drawn)])
    text = Page(files / "index.html").text
    assert "answers of base were drawn in another way, or not at all" in text
    assert not any("likeness" in r.metric for r in read_results(files))


def test_cards_get_only_what_no_other_node_states(bare: Path, pluralism: Input) -> None:
    stated = {(r.about, r.community, r.slice, r.metric) for r in read_results(pluralism.files)}
    mine = [(r.about, r.community, r.slice, r.metric) for r in read_results(bare)]
    assert len(mine) == len(set(mine)) == 6
    assert not stated & set(mine)
    assert {r[3] for r in mine} == {"total variation, minus pooled"}


def test_rows_say_each_comparison_once(bare: Path) -> None:
    rows = read_rows(bare / report.SERVED).to_dicts()
    assert len(rows) == 12
    assert len({(r["community"], r["slice"], r["kind"]) for r in rows}) == 12
    for row in rows:
        if row["kind"] == "conditioned":
            assert row["says"] == "not measured: no model that is told the group was given"
            assert row["difference"] is None
        else:
            assert row["low"] <= row["difference"] <= row["high"]
            assert row["people"] == 400


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "| a | b |\n# head [x](javascript:alert(1)) {{7*7}} `code` $x^{",
    "long " * 200,
    "W" * 500,
    "שלום עולם",
    "العربية 22",
    "👩‍👩‍👧‍👦 🏳️‍🌈 投票者",
    "\u202egnp.exe \x1b[31m\x00",
    "",
)


@pytest.mark.parametrize("names", list(zip(HOSTILE[::2], HOSTILE[1::2], strict=True)))
def test_hostile_names_are_text_and_nothing_else(
    build: Build, pluralism: Input, names: tuple[str, str], tmp_path: Path
) -> None:
    hostile = tmp_path / "files"
    shutil.copytree(pluralism.files, hostile)
    summary = summary_of(hostile)
    summary["communities"] = dict(zip(summary["communities"], names, strict=True))
    (hostile / "summary.json").write_text(json.dumps(summary))
    files = make(build, Input("pluralism", None, hostile))
    for path in files.rglob("*.html"):
        page = Page(path)
        assert not page.names & {"script", "img"}
        assert not page.open
        assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", path.read_text(encoding="utf-8"))
    shown = Page(files / "index.html").text
    for name in names:
        assert " ".join(clean(name).split()) in shown
    markdown = (files / "index.md").read_text(encoding="utf-8")
    assert not re.search(r"(?<!\\)<(?!br>)", markdown)
    assert not re.search(r"(?<!\\)\]\((?!models/|[a-z-]+\.png)", markdown)
    (table,) = re.findall(r"### Group by group.*?\n\n(.*?)\n\n", markdown, re.DOTALL)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()} == {5}


def test_without_a_pooled_model_nothing_is_compared(world: World, build: Build) -> None:
    files = make(build, plural(world, pooled=False), params=Params(base="base"))
    text = Page(files / "index.html").text
    assert "Not measured: no pooled model was given." in text
    assert "Each of the 2 groups its own (own)" in text
    assert not (files / "own-minus-one-for-all.png").exists()
    assert not read_results(files)


def test_without_a_base_no_cost_is_told(build: Build, pluralism: Input) -> None:
    given = [accuracy_of(build, "own@north", [True, False])]
    files = make(build, pluralism, params=Params(pooled=("pooled",)), reasoning=given)
    assert "Not measured: `base` does not say what was before" in Page(files / "index.html").text


def test_one_group_only(build: Build, tmp_path: Path) -> None:
    found = planted_world(build, tmp_path)
    one = World(build, found.questionnaire, found.profiles[:1])
    own = one.plant("own", "north", lambda item, _, __: HELD["north"][item])
    pluralism = Input("pluralism", None, one.evaluate(one.plant("base", None, uniform), own).files)
    files = make(build, pluralism, params=Params(base="base"))
    text = Page(files / "index.html").text
    assert "respondents of the north: its own, own@north, is the nearest of all models." in text


def test_a_model_without_figures_says_so(build: Build, pluralism: Input) -> None:
    files = make(build, pluralism, reasoning=[accuracy_of(build, "stranger", [True, False])])
    text = Page(files / "models" / "stranger.html").text
    assert "Not measured: the pluralism evaluation does not know it." in text
    assert "no evaluation of base was given" in text


def test_what_cannot_be_told_apart_is_said_in_words(world: World, build: Build) -> None:
    models = [
        world.plant("pooled", None, lambda item, _, __: HELD["north"][item]),
        world.plant("own", "north", lambda item, _, __: HELD["north"][item]),
    ]
    pluralism = Input("pluralism", None, world.evaluate(*models).files)
    files = make(build, pluralism, params=Params(pooled=("pooled",)))
    text = Page(files / "index.html").text
    assert "own models against pooled: cannot be told apart." in text
    assert "the group has no model of its own" in text
    north = summary_of(files)["groups"][0]
    assert north["comparisons"][0]["says"] == APART


def test_marks_of_the_evaluation_are_carried_over(world: World, build: Build) -> None:
    models = [
        world.plant("lazy", None, uniform),
        world.plant("own", "north", lambda item, _, __: HELD["north"][item]),
    ]
    pluralism = Input("pluralism", None, world.evaluate(*models).files)
    files = make(build, pluralism, params=Params(pooled=("lazy",)))
    text = Page(files / "index.html").text
    assert "lazy answers all questions with as many options alike" in text
    assert "no rival" in text
    assert "good figure would be luck" in Page(files / "models" / "lazy.html").text
    (pluralism.files / "notes.json").unlink()
    files = make(build, pluralism, params=Params())
    assert "made by older code" in Page(files / "index.html").text


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (Params(base="bose"), "`base` names 'bose'"),
        (Params(pooled=("nobody",)), "`pooled` names 'nobody'"),
        (Params(base="base", pooled=("base",)), "named twice"),
        (Params(pooled=("own@north",)), "one group's own model"),
    ],
)
def test_wrong_roles_are_refused(build: Build, pluralism: Input, params: Params, said: str) -> None:
    with pytest.raises(MethodError, match=re.escape(said)):
        make(build, pluralism, params=params)


@pytest.mark.parametrize("role", ["pluralism", "reasoning", "diversity", "coverage"])
def test_another_evaluation_than_wanted_is_refused(
    build: Build, pluralism: Input, role: str
) -> None:
    other = Input("other", None, build(Params()).out)
    given = {role: [other]} if role != "pluralism" else {}
    with pytest.raises(MethodError) as caught:
        make(build, other if role == "pluralism" else pluralism, **given)
    assert caught.value.where == "other"
    assert caught.value.mend


def test_the_same_evaluation_twice_is_refused(build: Build, pluralism: Input) -> None:
    one = accuracy_of(build, "base", [True, False])
    with pytest.raises(MethodError, match="given twice"):
        make(build, pluralism, reasoning=[one, one])


def test_coverage_is_named_as_the_evaluation_names_it(build: Build, pluralism: Input) -> None:
    folder = build(Params()).out
    summary = {
        "may_be_called_overton": False,
        "situations_left_out": 1,
        "differences": {
            "topic": [
                {"model": "base", "other": "own@north", "difference": -0.2, "low": -0.3,
                 "high": -0.1, "situations": 12}
            ]
        },
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    Results(
        results=tuple(
            Result(about=about, slice="all situations", metric="topic coverage (share of views)",
                   lower_is_better=False, value=0.5, low=0.4, high=0.6, items=12,
                   beside={"one view alone": 0.2})
            for about in ("base", "own@north")
        )
    ).write(folder)  # fmt: skip
    given = Input("topic-coverage", None, folder)
    text = Page(make(build, pluralism, coverage=[given]) / "index.html").text
    assert "topic-coverage names topics, not views" in text
    assert "topic-coverage left out 1 situation." in text
    assert "more views +0.200 (+0.100 to +0.300), minus base; 12 situations" in text
    assert "Overton" not in text.replace("Pluralism", "")


def test_intervals_of_matched_shares_are_those_of_agresti_and_min() -> None:
    # 10 tasks lost, 4 won of 100: (4 - 10) / 102 +- 1.96 sqrt(15 - 36 / 102) / 102
    before = [1.0] * 10 + [0.0] * 4 + [1.0] * 86
    after = [0.0] * 10 + [1.0] * 4 + [1.0] * 86
    low, high = matched_shares(before, after)
    assert low == pytest.approx(-0.132365, abs=1e-5)
    assert high == pytest.approx(0.014718, abs=1e-5)


def test_nothing_shared_and_one_thing_alone() -> None:
    about: dict[str, Any] = {"lower_is_better": True, "rival": "base", "beside": {}}
    assert isinstance(paired({"a": 1.0}, {"b": 1.0}, "task", **about), Missing)
    one = paired({"a": 1.0}, {"a": 2.0}, "task", **about)
    assert not isinstance(one, Missing)
    assert one.difference.value == 1
    assert one.difference.low is None
    assert one.difference.words("nearer", "farther") == APART


@pytest.mark.parametrize(
    ("low", "high", "lower_is_better", "says"),
    [
        (-0.3, -0.1, True, "better"),
        (-0.3, -0.1, False, "worse"),
        (-0.3, 0.1, True, APART),
        (0.0, 0.1, True, APART),
        (0.1, 0.3, False, "better"),
    ],
)
def test_words_follow_the_interval(
    low: float, high: float, lower_is_better: bool, says: str
) -> None:
    found = Difference((low + high) / 2, low, high, "", 1, lower_is_better=lower_is_better)
    assert found.words("better", "worse") == says


def test_what_is_rounded_to_nought_has_no_sign() -> None:
    assert bracketed(-0.0001, -0.01, 0.0004, sign="+") == "0.000 (-0.010 to 0.000)"


def test_different_answers_among_as_many() -> None:
    # All six pairs of (a, a, b, c): one is alike, five show two.
    assert distinct_among([2, 1, 1], 2) == pytest.approx((1 * 1 + 5 * 2) / 6)
    assert distinct_among([4], 3) == pytest.approx(1)
    assert distinct_among([1, 1, 1], 3) == pytest.approx(3)
    assert distinct_among([2, 1], 0) == 0
    with pytest.raises(MethodError, match="cannot be drawn"):
        distinct_among([1], 2)


def test_pages_of_models_have_names_of_their_own() -> None:
    found = slugs_of(["a b", "a_b", "own@x", "<>", "../../etc"], ["own@x", "Other"])
    assert found == {
        "a b": "a-b", "a_b": "a-b-2", "own@x": "own--x", "<>": "model", "../../etc": "etc",
        "Other": "other",
    }  # fmt: skip


def test_a_picture_takes_the_colours_of_its_page() -> None:
    inside = '<g id="a" style="fill: #1e2427"/><use href="#a"/>'
    svg = f'<?xml?><svg width="1pt" height="2pt">{inside}</svg>'
    found = in_page(svg, "models/x")
    assert found.startswith('<svg aria-hidden="true"')
    assert "var(--ink)" in found
    assert 'id="models-x-a"' in found
    assert 'href="#models-x-a"' in found
    assert "width" not in found
