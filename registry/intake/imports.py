"""One import from beginning to end: what was found, whether it is usable, what is proposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from registry.errors import UsageError
from registry.hashing import sha256_file
from registry.intake.codebook import About, Codebook, read_about
from registry.intake.describe import instrument_data, profile_data, record_data
from registry.intake.difference import Separation, sampled_separation, separation
from registry.intake.estimates import Answers, estimate, opinion_rows
from registry.intake.group import Group
from registry.intake.percentages import Layout, read_percentages, samples
from registry.intake.proposal import (
    Proposal,
    csv_text,
    json_text,
    jsonl_text,
    write_files,
    write_proposals,
    yaml_text,
)
from registry.intake.sensitive import declared
from registry.intake.survey import Columns, read_survey
from registry.profile import Kind, Sensitivity
from registry.profile_tables import HELD_OUT, NORMS, OPINIONS

_FEWEST_GROUPS = 2


@dataclass(frozen=True)
class Import:
    """What one import found."""

    about: About
    kind: Kind
    sha256: str
    """Digest of the source's file."""
    method: str
    """How the figures were computed, in sentences for the profile."""
    groups: tuple[Group, ...]
    """With the items that are published."""
    separation: Separation
    instrument: Mapping[str, Any]
    """The questionnaire that the tables name."""
    sensitive: tuple[Sensitivity, ...] = ()
    row_id: str | None = None
    preferences: Mapping[str, str] = field(default_factory=dict)
    """For each group the text of its preference pairs."""
    notes: tuple[str, ...] = ()
    """More of the report, in sentences."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """More of the record."""

    @property
    def kept(self) -> tuple[Group, ...]:
        """The groups of which something is published."""
        return tuple(group for group in self.groups if group.learning)

    def refusal(self, despite: str | None) -> str:
        """Why nothing is proposed; empty where something is."""
        if len(self.kept) < _FEWEST_GROUPS:
            halves = self.kind == "opinion-cluster" and any(
                g.held_out is not None for g in self.groups
            )
            other = "; --no-held-out makes profiles from all votes, which no evaluation can use"
            return (
                f"{len(self.kept)} of {len(self.groups)} groups have an item that enough people "
                f"answered{other if halves else ''}"
            )
        if not self.separation.usable and not despite:
            return (
                "the groups do not differ beyond noise, and a model for each would learn noise "
                "(--despite-noise REASON proposes them nevertheless, and records why)"
            )
        return ""

    def record(self, despite: str | None) -> dict[str, Any]:
        """What a reviewer finds beside the proposals."""
        return record_data(
            self.about, self.separation, self.groups, self._overridden(despite), **self.more
        )

    def write(self, into: Path, despite: str | None, *, replace: bool) -> tuple[Path, ...]:
        """Writes the proposals, or raises and writes nothing; see `write_proposals`."""
        proposals = [self._proposal(group, self._overridden(despite)) for group in self.kept]
        name = self.about.instrument
        beside = {
            f"{name}.instrument.yaml": yaml_text(self.instrument),
            f"{name}.import.json": json_text(self.record(despite)),
        }
        return write_proposals(proposals, beside, into, replace=replace)

    def _overridden(self, despite: str | None) -> str | None:
        return None if self.separation.usable else despite

    def _proposal(self, group: Group, overridden: str | None) -> Proposal:
        tables = {OPINIONS.file: self._table(group.learning)}
        if group.held_out is not None:
            tables[HELD_OUT.file] = self._table(group.held_out)
        if group.id in self.preferences:
            tables["preferences.jsonl"] = self.preferences[group.id]
        data = profile_data(
            group,
            self.about,
            self.kind,
            self.sha256,
            method=self.method,
            sensitive=self.sensitive,
            row_id=self.row_id,
            overridden=overridden,
        )
        return Proposal(group.id, data, tables)

    def _table(self, answers: Mapping[str, Answers]) -> str:
        options = {
            item: battery["options"]
            for battery in self.instrument["batteries"].values()
            for item in battery["items"]
        }
        rows = [
            row
            for item, given in answers.items()
            for row in opinion_rows(item, options[item], estimate(given))
        ]
        return csv_text(OPINIONS, rows)


def from_survey(
    file: Path,
    codebook: Path,
    columns: Columns,
    *,
    bins: Sequence[int] = (),
    sensitive: Sequence[str] = (),
    seed: int = 0,
) -> Import:
    """Imports survey microdata; see `registry.intake.survey`."""
    book = read_about(codebook, Codebook)
    kinds = declared(sensitive, columns.group, book.groups)
    read = read_survey(file, book, columns, bins, seed)
    if not sensitive:
        declared(sensitive, columns.group, [group.named.name for group in read.groups])
    groups = tuple(group.published() for group in read.groups)
    halves = {
        group.id: {i: (a.shares, group.held_out[i].shares) for i, a in group.learning.items()}
        for group in groups
        if group.held_out
    }
    method = (
        "All respondents were split in half once, by a hash of "
        f"{columns.id or 'the number of their row'} (seed {seed}): opinions.csv comes from one "
        "half, evaluation/opinions.csv from the other, which only evaluations read. A share is the "
        "sum of the weights of those who chose an option over the sum for all who answered."
    )
    return Import(
        about=book,
        kind="survey-population",
        sha256=sha256_file(file),
        method=method,
        groups=groups,
        separation=separation(halves),
        instrument=questions_of(book),
        sensitive=kinds,
        row_id=columns.id,
        notes=(f"{read.grouped:,} respondents are in a group, {read.outside:,} in none",),
        more={"seed": seed, "grouped": read.grouped, "outside": read.outside},
    )


def from_table(
    file: Path,
    codebook: Path,
    *,
    layout: Layout = "long",
    heading: str | None = None,
    sensitive: Sequence[str] = (),
    without_held_out: bool = False,
) -> Import:
    """Imports a ready table of percentages; see `registry.intake.percentages`."""
    if not without_held_out:
        raise UsageError(
            "gives percentages, which cannot be split into two halves of people",
            where=str(file),
            why="models would be measured against the people that they learned from",
            mend="import the respondents with `chorus profile import survey`, or give "
            "--no-held-out: the profiles then have no table for evaluation",
        )
    book = read_about(codebook, Codebook)
    found = read_percentages(file, book, layout, heading)
    kinds = declared(sensitive, heading or "", [group.named.name for group in found])
    groups = tuple(group.published() for group in found)
    method = (
        "Counts were worked back from published percentages and the number of people. There is no "
        "evaluation/opinions.csv: nobody else was counted, so that no model of this profile can be "
        "measured on people that it did not learn from."
    )
    if not any(group.named.n_effective for group in groups):
        method += " Where the source gives no effective number, the number of people stands for it."
    return Import(
        about=book,
        kind="survey-population",
        sha256=sha256_file(file),
        method=method,
        groups=groups,
        separation=sampled_separation({i: of for i, of in samples(groups).items() if of}),
        instrument=questions_of(book),
        sensitive=kinds,
        more={"held_out": False},
    )


def questions_of(book: Codebook) -> dict[str, Any]:
    """The questionnaire of a codebook."""
    items = {i: (q.text, tuple(q.options.values())) for i, q in book.questions.items()}
    return instrument_data(book, "survey-population", items)


def from_polis(
    votes: Path,
    comments: Path,
    about: Path,
    *,
    clusters: int | None = None,
    topics: Path | None = None,
    draws: int = 100,
    seed: int = 0,
    held_out: bool = True,
    left_out: Path | None = None,
) -> Import:
    """Imports a Polis conversation; see `registry.intake.polis`, `clusters` and `pairs`.

    `left_out` names people whose votes do not count, an id a line.
    """
    from registry.intake import ccai, pairs, polis
    from registry.intake.clusters import measure, null_ratio

    source = read_about(about, About)
    talk = polis.read_conversation(comments, votes)
    tossed = ccai.read_ids(left_out) if left_out else frozenset()
    talk = ccai.without(talk, tossed)
    formed = polis.form_clusters(talk, clusters, seed)
    apart = measure(formed.votes[:, ~formed.forming], formed.labels, formed.learned)
    mean, null = null_ratio(formed.votes, formed.forming, formed.learned, formed.count, draws, seed)
    groups = polis.groups_of(talk, formed, source, held_out=held_out)
    texts = {statement.id: statement.text for statement in talk.statements}
    alike = pairs.read_topics(topics) if topics else set()
    made, looked_at = pairs.preference_pairs(
        talk, formed, alike, source.instrument, learning_only=held_out
    )
    forming = [s.id for s, forms in zip(talk.statements, formed.forming, strict=True) if forms]
    styles = {group.id: formed.style(number) for number, group in enumerate(groups)}
    halves = (
        "Everybody was split in half once: opinions.csv comes from one half, "
        "evaluation/opinions.csv from the other, which only evaluations read."
        if held_out
        else "There is no evaluation/opinions.csv: no votes were set aside for it."
    )
    return Import(
        about=source,
        kind="opinion-cluster",
        sha256=sha256_file(votes),
        method="The group is a statistical cluster of votes and no demographic: principal "
        f"components and k-means on {len(forming)} of {len(texts)} statements. {halves}",
        groups=tuple(group.published() for group in groups),
        separation=_as_profiles(apart, null, source.instrument),
        instrument=instrument_data(
            source,
            "opinion-cluster",
            {item: (text, polis.OPTIONS) for item, text in texts.items()},
            polis.author_groups(talk, formed),
        ),
        row_id="participant",
        preferences={groups[n].id: jsonl_text(rows) for n, rows in made.items() if rows},
        notes=(
            f"{len(texts)} statements, without {talk.rejected} that moderators rejected",
            f"groups formed on {len(forming)}, measured on the other {len(texts) - len(forming)}",
            f"noise alone scores {mean:.2f} on average, {null:.2f} at the 95th percentile",
            f"that noise: {draws} draws in which people and statements keep their kinds of votes",
            *(
                f"{name}: {agree:.0%} of votes agree, {passed:.0%} pass"
                for name, (agree, passed) in styles.items()
            ),
            f"{formed.ungrouped} people with too few votes are in no group",
            *([f"{len(tossed)} people were left out by name"] if tossed else []),
            f"{sum(map(len, made.values()))} preference pairs, from {looked_at} comparisons of two "
            "statements on one topic"
            if topics
            else "no preference pairs: no file of topics was given",
            *formed.stand_as_exported(),
        ),
        more={
            "seed": seed,
            "draws": draws,
            "null_mean": round(mean, 4),
            "held_out": held_out,
            "formed_on": forming,
            "left_out": sorted(tossed, key=int),
            "votes": {
                i: {"agree": round(a, 4), "pass": round(p, 4)} for i, (a, p) in styles.items()
            },
            "stand_as_exported": formed.agreement,
            "preference_pairs": {groups[n].id: len(rows) for n, rows in made.items()},
        },
    )


def _as_profiles(apart: Separation, null: float, instrument: str) -> Separation:
    """The same figures under the ids of the profiles."""
    return replace(
        apart,
        pairs=tuple(
            replace(pair, one=f"{instrument}-{pair.one}", other=f"{instrument}-{pair.other}")
            for pair in apart.pairs
        ),
        noise={f"{instrument}-{name}": noise for name, noise in apart.noise.items()},
        null=null,
        measured_by="people split in half at random, once, on statements that formed no group",
    )


@dataclass(frozen=True)
class NormsWritten:
    """What an import of norms wrote."""

    count: int
    left_out: Mapping[str, int]
    paths: tuple[Path, ...]


def write_norms(
    file: Path,
    about: Path,
    into: Path,
    *,
    area: str | None = None,
    split: str | None = None,
    at_most: int | None = None,
    replace: bool = False,
) -> NormsWritten:
    """Writes a file's rules of thumb and the lines that name their source; see `norms`."""
    from registry.intake.norms import read_norms

    source = read_about(about, About)
    found = read_norms(file, area=area, split=split, at_most=at_most)
    origin = {
        name: getattr(source, name) for name in ("title", "publisher", "citation", "url", "licence")
    }
    origin |= {"sha256": sha256_file(file), "row_id": "rot-id"}
    files = {
        f"{source.instrument}/norms.csv": csv_text(NORMS, found.rows),
        f"{source.instrument}/source.yaml": yaml_text(origin),
    }
    return NormsWritten(len(found.rows), found.left_out, write_files(files, into, replace=replace))
