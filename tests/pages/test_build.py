"""The site as its reader and its builder meet it: verdicts, links, rebuilding, and faults."""

from __future__ import annotations

import html
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Folder
from tests.pages.conftest import NODE, RELEASE_PAGE, TAG, Read, build, contents, text

WORDS = "data/words/files/words.parquet"


def flip(path: Path, place: int = -1) -> None:
    """Changes one byte and nothing else that a listing of the folder would show."""
    stat, raw = path.stat(), bytearray(path.read_bytes())
    raw[place] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(raw))
    path.chmod(0o444)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_the_front_page_and_the_release_give_the_verdict_first(released: Folder) -> None:
    said = build(released)
    site = released.root / "site"
    assert (said["releases"], said["artifacts"], said["verdict"]) == (1, 6, "verified")
    front = text(site, "index.html")
    assert "Do the releases hold? 1 verified" in front
    assert front.index("Do the releases hold?") < front.rindex("Models")
    page = Read(site / RELEASE_PAGE)
    assert page.text.index("Verified") < page.text.index("What it was made from")
    assert f"chorus lineage verify {TAG}" in page.text
    assert "Its card" in page.text
    assert "lineage/words.json" in page.text


def test_every_link_leads_to_a_file_of_the_site_and_no_page_needs_a_script(
    released: Folder,
) -> None:
    build(released)
    site = (released.root / "site").resolve()
    pages = sorted(site.rglob("*.html"))
    assert len(pages) == 6 + 1 + 2 + 5 + 2
    reached = set()
    for path in pages:
        page = Read(path)
        targets = list(page.targets())
        assert all(target.is_file() and target.is_relative_to(site) for target in targets), path
        reached |= set(targets)
        assert page.handlers == [], path
        assert page.styled == [], path
        assert page.scripts == ([] if path.name != "search.html" else page.scripts)
        assert len(page.ids) == len(set(page.ids)), path
        assert page.headings[0] == 1, path
        assert page.headings.count(1) == 1, path
        assert "default-src 'none'" in html.unescape(path.read_text())
    assert {path for path in pages if path.name != "index.html"} <= reached


def test_the_same_project_gives_the_same_bytes_and_a_second_build_writes_none(
    released: Folder,
) -> None:
    build(released)
    first = contents(released.root / "site")
    again = build(released)
    assert (again["written"], again["verdicts_found"]) == (0, 0)
    build(released, "other")
    assert contents(released.root / "other") == first
    whole = build(released, "--verify")
    assert (whole["written"], whole["verdicts_found"]) == (0, 7)


def test_no_page_names_the_machine_the_day_or_the_place(released: Folder) -> None:
    build(released)
    for path, raw in contents(released.root / "site").items():
        assert str(released.root).encode() not in raw, path


def test_a_flipped_byte_in_a_read_only_file_with_its_old_time_is_found(released: Folder) -> None:
    build(released)
    flip(released.root / WORDS)
    said = build(released)
    site = released.root / "site"
    page = text(site, "datasets/words.html")
    assert "Broken at words" in page
    assert "data/words/files/words.parquet was altered" in page
    assert "Its rows are not shown here. The bytes that lie here are not those" in page
    assert "1 broken" not in text(site, "index.html").split("Does what was made hold?")[0]
    assert "Broken at words" in text(site, "models/count/age-22-34.html")
    assert said["verdict"] == "verified"  # the release is copied from DVC's cache, and holds
    assert "verified" in text(site, "datasets/letters/age-22-34.html").lower()
    assert said["verdicts_found"] < 7  # type: ignore[operator]


def test_a_flipped_byte_of_a_release_is_found_and_its_card_is_not_shown(released: Folder) -> None:
    build(released)
    flip(released.root / "releases/count/age-22-34/1.0.0/README.md")
    assert build(released)["verdict"] == "broken"
    page = text(released.root / "site", RELEASE_PAGE)
    assert "Broken at release count/age-22-34 1.0.0" in page
    assert "README.md was altered" in page
    assert "Its card" not in page


@pytest.mark.parametrize("kind", ["manifest", "lock", "tag", "statement"])
def test_a_tampered_record_is_broken_and_never_a_stack_trace(released: Folder, kind: str) -> None:
    build(released)
    root = released.root
    if kind == "manifest":
        (root / "data/words/manifest.json").write_text('{"node": "<script>"}')
    elif kind == "lock":
        lock = root / "dvc.lock"
        start = lock.read_text().index("data/words/manifest.json")
        flip(lock, lock.read_text().index("md5: ", start) + 5)
    elif kind == "tag":
        released.run("git", "tag", "--force", "--annotate", TAG, "HEAD~1", "--message", "moved")
    else:
        flip(root / "releases/count/age-22-34/1.0.0/release.json", 30)
    build(released)
    page = RELEASE_PAGE if kind in ("tag", "statement") else "datasets/words.html"
    assert "Broken at" in text(root / "site", page)


def test_an_artifact_without_a_record_is_unrecorded_not_verified(released: Folder) -> None:
    (released.root / "dvc.lock").unlink()
    build(released)
    assert "Unrecorded" in text(released.root / "site", "datasets/words.html")


def test_a_permission_that_ended_ends_releases_and_withholds_nothing_else(released: Folder) -> None:
    build(released)
    released.edit("value_profiles/age-22-34/profile.yaml", "expires_on: never",
                  'expires_on: "2026-01-01"')  # fmt: skip
    build(released)
    site = released.root / "site"
    assert text(site, RELEASE_PAGE).index("Ended") < 200
    assert "until 2026-01-01 ended" in text(site, "profiles/age-22-34.html")
    assert "1 ended" in text(site, "index.html")


def test_pages_of_what_is_gone_go_and_files_of_others_stay(released: Folder) -> None:
    build(released)
    site = released.root / "site"
    (site / "note.txt").write_text("mine")
    shutil.rmtree(released.root / "data/total")
    build(released)
    assert not (site / "models/total.html").exists()
    assert (site / "note.txt").read_text() == "mine"
    assert "total" not in (site / "search-index.js").read_text()


def test_a_page_that_somebody_changed_is_written_again(released: Folder) -> None:
    build(released)
    page = released.root / "site" / RELEASE_PAGE
    before = page.read_bytes()
    page.write_text("All is well.")
    assert build(released)["written"] == 1
    assert page.read_bytes() == before


def test_a_folder_with_files_of_others_is_refused_and_left_alone(released: Folder) -> None:
    (released.root / "site").mkdir()
    (released.root / "site" / "thesis.txt").write_text("years of work")
    assert "holds files that no build of a site wrote" in str(build(released, expect=2)["said"])
    assert [p.name for p in (released.root / "site").iterdir()] == ["thesis.txt"]
    for name in ("data", ".", "registry/site", "value_profiles/x"):
        assert "belongs to the project" in str(build(released, name, expect=2)["said"])


TORN = (
    "{",
    "[]",
    '{"schema_version": 1, "pages": [], "verdicts": 3}',
    '{"schema_version": 1, "program": "x", "pages": {}, "verdicts": {"words": {"hops": 1}}}',
    '{"schema_version": 1, "pages": {"../data/words/manifest.json": ["", []]}, "verdicts": {}}',
)


def test_a_torn_memory_of_the_build_before_is_no_memory(released: Folder) -> None:
    build(released)
    site = released.root / "site"
    before = contents(site)
    state = site / ".chorus-site.json"
    for torn in TORN:
        state.write_text(torn)
        build(released)
        assert contents(site) == before
    assert (released.root / "data/words/manifest.json").is_file()


def test_a_link_in_the_folder_is_not_followed(released: Folder) -> None:
    build(released)
    site, away = released.root / "site", released.root.parent / "away"
    away.mkdir()
    shutil.rmtree(site / "models")
    (site / "models").symlink_to(away)
    build(released)
    assert list(away.iterdir()) == []
    assert (site / "models/total.html").is_file()


def test_two_builds_at_once_and_a_killed_one_leave_a_whole_site(released: Folder) -> None:
    build(released, "other")
    wanted = contents(released.root / "other")
    for patience in (0.6, 0.9, 1.2):
        process = released.start("site", "build")
        time.sleep(patience)
        process.kill()
        process.communicate()
    both = [released.start("site", "build") for _ in range(2)]
    for process in both:
        said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert contents(released.root / "site") == wanted


def test_a_revision_shows_what_it_recorded(released: Folder) -> None:
    commit = released.run("git", "rev-parse", "--short=12", "HEAD").out.strip()
    shutil.rmtree(released.root / "data/words")
    build(released, "--rev", "HEAD")
    site = released.root / "site"
    assert f"revision HEAD, commit {commit}" in text(site, "index.html")
    assert "Verified" in text(site, "datasets/words.html")
    assert "The first 5 of 5 rows" in text(site, "datasets/words.html")
    refused = build(released, "away", "--rev", "nowhere", expect=2)
    assert "no revision is called 'nowhere'" in str(refused["said"])


def test_data_docs_come_along_and_a_folder_without_them_is_refused(released: Folder) -> None:
    docs = released.root.parent / "docs"
    docs.mkdir()
    refused = build(released, "--data-docs", str(docs), expect=2)
    assert "holds no Data Docs" in str(refused["said"])
    (docs / "index.html").write_text("<h1>Data Docs</h1>")
    build(released, "--data-docs", str(docs))
    site = released.root / "site"
    assert (site / "data-docs/index.html").read_text() == "<h1>Data Docs</h1>"
    assert "data-docs/index.html" in Read(site / "index.html").links
    assert "../data-docs/index.html" in Read(site / "datasets/words.html").links
    build(released)
    assert not (site / "data-docs").exists()


def test_git_is_told_to_leave_the_site_alone(released: Folder) -> None:
    build(released)
    shown = released.run("git", "status", "--porcelain").out
    assert "site" not in shown


def test_the_report_is_one_file_with_the_verdict_first_and_the_exit_code(released: Folder) -> None:
    out = released.root.parent / "report.html"
    released.chorus("lineage", "report", TAG, "-o", str(out))
    page = Read(out)
    assert page.text.index("Verified") < page.text.index("What it was made from")
    assert "count/age-22-34 1.0.0" in page.text
    assert page.scripts == []
    assert [link for link in page.links if not link.startswith("#")] == []
    flip(released.root / WORDS)
    done = released.chorus("lineage", "report", NODE, "-o", str(out), expect=3)
    assert "broken: wrote" in done.err
    assert "Broken at words" in Read(out).text
    released.chorus("lineage", "report", NODE, "-o", str(released.root / "x.txt"), expect=2)
    released.chorus("lineage", "report", "nobody", "-o", str(out), expect=2)


def test_help_loads_neither_templates_nor_tables(released: Folder) -> None:
    code = (
        "import sys, registry.cli; heavy = [m for m in ('jinja2', 'polars', 'markdown_it', "
        "'networkx') if m in sys.modules]; sys.exit(bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], check=False, env=dict(released.env))
    assert done.returncode == 0


def test_json_says_what_was_done(released: Folder) -> None:
    said = build(released)
    assert set(said) == {"schema_version", "folder", "artifacts", "releases", "written", "kept",
                         "verdicts_found", "verdict"}  # fmt: skip
    assert (
        json.loads((released.root / "site/.chorus-site.json").read_bytes())["schema_version"] == 1
    )
