"""An artifact is whole or absent, and its digests see every byte and every name."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import artifact as artifact_module
from registry.artifact import (
    ArtifactPath,
    CheckResult,
    FileEntry,
    Hasher,
    InputEntry,
    Manifest,
    MethodEntry,
    ProfileEntry,
    SourceEntry,
    canonical_json,
    content_digest,
    digest_of,
    exchange,
    write_atomically,
)
from registry.errors import ExitCode, IntegrityError, MethodError
from registry.hashing import sha256_file
from registry.row_counts import count_rows

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def entry(path: str, sha256: str = ABC) -> FileEntry:
    return FileEntry(path=path, size=3, sha256=sha256)


def write(root: Path, **files: str) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


class TestContentDigest:
    def test_has_a_known_answer(self):
        known = "a88a5e707d95128a278b7b906e86795fa9e73f44ab6e04f96c2e1fb89a419015"
        assert content_digest([entry("a.txt")]) == digest_of([["a.txt", ABC]]) == known

    def test_sees_a_rename(self):
        assert content_digest([entry("a")]) != content_digest([entry("b")])

    def test_sees_two_files_exchange_their_names(self):
        one = content_digest([entry("a", ABC), entry("b", EMPTY)])
        assert one != content_digest([entry("a", EMPTY), entry("b", ABC)])

    def test_does_not_depend_on_the_order(self):
        files = [entry("a"), entry("b/c", EMPTY), entry("b")]
        assert content_digest(files) == content_digest(reversed(files))

    def test_does_not_depend_on_the_size_that_is_claimed(self):
        assert content_digest([entry("a")]) == content_digest(
            [FileEntry(path="a", size=9, sha256=ABC)]
        )


PAIRS = st.dictionaries(st.text(st.sampled_from("ab/\0[]\",' é"), max_size=4),
                        st.sampled_from([ABC, EMPTY]), max_size=3)  # fmt: skip


@given(PAIRS, PAIRS)
def test_content_digests_are_equal_where_names_and_bytes_are(one, other):
    digests = [content_digest(entry(*pair) for pair in pairs.items()) for pairs in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)


@given(st.permutations([entry("a"), entry("b", EMPTY), entry("c/d"), entry("c")]))
def test_content_digests_are_equal_in_every_order(files):
    assert content_digest(files) == content_digest(sorted(files, key=lambda file: file.path))


def manifest(**changes: object) -> Manifest:
    files = (entry("items.parquet"), entry("notes.txt", EMPTY))
    given = Manifest(
        node="items@age-22-34",
        kind="dataset",
        licence="CC-BY-4.0",
        method=MethodEntry(name="opinion-items", code=ABC, distribution="chorus", version="1"),
        params={"steps": 240, "rate": 5e-4, "weights": {"b": 1.0, "a": 2.0}, "text": "é “x”"},
        seed=0,
        threads=1,
        device="cpu",
        dtype=None,
        libraries={"polars": "1.2.3"},
        inputs=(InputEntry(role="base", node="questionnaire", content=ABC),),
        profiles=(
            ProfileEntry(
                id="age-22-34",
                use="train-sft",
                permission="licence",
                consent=ABC,
                tables={"opinions.csv": EMPTY},
                fields={"opinions": ABC},
            ),
        ),
        sources=(SourceEntry(path="registry/instruments/x.yaml", sha256=ABC),),
        checks=(
            CheckResult(
                expect="expect_table_row_count_to_be_between",
                table="items.parquet",
                arguments={"min_value": 1.0},
                severity="error",
                reason="It matters to these tests.",
                success=True,
                unexpected=0,
                found="found 3 (rows)",
            ),
        ),
        rows={"items.parquet": 3},
        files=files,
        content=content_digest(files),
    )
    return given.model_copy(update=changes)


class TestManifest:
    def test_is_read_back_as_it_was_written(self):
        assert Manifest.model_validate_json(manifest().to_bytes()) == manifest()

    def test_has_the_same_bytes_for_the_same_content(self):
        given = manifest()
        shuffled = manifest(params=dict(reversed(given.params.items())))
        assert given.to_bytes() == shuffled.to_bytes()
        assert Manifest.model_validate_json(given.to_bytes()).to_bytes() == given.to_bytes()

    def test_is_text_that_people_can_compare(self):
        lines = manifest().to_bytes().decode().split("\n")
        assert lines[0] == "{"
        assert lines[-2:] == ["}", ""]
        assert '    "text": "é “x”",' in lines

    @pytest.mark.parametrize("change", [{"seed": 1}, {"node": "x"}, {"device": "cuda"}])
    def test_has_other_bytes_for_other_causes(self, change):
        assert manifest(**change).to_bytes() != manifest().to_bytes()

    def test_holds_no_number_that_json_lacks(self):
        with pytest.raises(ValueError, match="not JSON compliant"):
            canonical_json({"rate": float("nan")})

    def test_of_an_absent_artifact_is_none(self, tmp_path):
        assert ArtifactPath(tmp_path / "absent").read_manifest() is None
        (tmp_path / "file").write_text("")
        assert ArtifactPath(tmp_path / "file").read_manifest() is None

    def test_is_read_from_its_directory(self, tmp_path):
        place = ArtifactPath(tmp_path)
        write_atomically(place.manifest, manifest().to_bytes())
        assert place.read_manifest() == manifest()

    @pytest.mark.parametrize(
        "raw",
        [b"", b"{", b"[]", b"{}", b"\xff", manifest().to_bytes()[:-20],
         manifest().to_bytes().replace(b'"seed"', b'"sead"'),
         manifest(files=()).to_bytes()],
        ids=["empty", "cut", "list", "bare", "binary", "short", "misspelt", "without files"],
    )  # fmt: skip
    def test_that_is_broken_is_an_integrity_error(self, tmp_path, raw):
        (tmp_path / "manifest.json").write_bytes(raw)
        with pytest.raises(IntegrityError, match="is not a manifest") as caught:
            ArtifactPath(tmp_path).read_manifest()
        assert caught.value.exit_code == ExitCode.INTEGRITY == 3
        assert "--force" in caught.value.mend


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner,
                                                                max_size=3),
    max_leaves=8,
))  # fmt: skip
def test_any_parameters_survive_the_round_trip(value):
    given = manifest(params={"value": value})
    again = Manifest.model_validate_json(given.to_bytes())
    assert again.params == given.params
    assert again.to_bytes() == given.to_bytes()


class TestTree:
    def test_lists_every_file_with_size_and_digest(self, tmp_path):
        write(tmp_path, **{"b.txt": "abc", "a/z.txt": "", ".hidden": "abc"})
        assert Hasher(None).tree(tmp_path) == (
            entry(".hidden"),
            FileEntry(path="a/z.txt", size=0, sha256=EMPTY),
            entry("b.txt"),
        )

    def test_of_nothing_is_empty(self, tmp_path):
        (tmp_path / "empty").mkdir()
        assert Hasher(None).tree(tmp_path) == ()

    @pytest.mark.parametrize("target", ["a.txt", "absent", ".", "/etc/hostname"])
    def test_refuses_links(self, tmp_path, target):
        write(tmp_path, **{"a.txt": "abc"})
        (tmp_path / "link").symlink_to(target)
        with pytest.raises(IntegrityError, match="is a link"):
            Hasher(None).tree(tmp_path)

    def test_refuses_what_is_neither_file_nor_folder(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(IntegrityError, match="artifacts hold plain files"):
            Hasher(None).tree(tmp_path)

    def test_a_source_is_a_files_bytes_or_a_folders_content(self, tmp_path):
        write(tmp_path, **{"a.txt": "abc"})
        assert Hasher(None).source(tmp_path / "a.txt") == ABC
        assert Hasher(None).source(tmp_path) == content_digest([entry("a.txt")])


class TestHasher:
    @pytest.fixture
    def file(self, tmp_path):
        return write(tmp_path, **{"file.txt": "abc"}) / "file.txt"

    @pytest.fixture
    def cache(self, tmp_path):
        return tmp_path / ".chorus" / "digests.json"

    def test_has_a_known_answer(self, file):
        assert sha256_file(file) == Hasher(None).file(file) == ABC

    def test_reads_files_larger_than_a_chunk(self, tmp_path):
        (tmp_path / "large").write_bytes(b"\0" * (1 << 21))
        known = "5647f05ec18958947d32874eeb788fa396a05d0bab7c1b71f112ceb7e9b31eee"
        assert sha256_file(tmp_path / "large") == known

    def test_reads_a_file_once_and_remembers_it_between_commands(self, file, cache, monkeypatch):
        hasher = Hasher(cache)
        assert hasher.file(file) == ABC
        hasher.save()
        monkeypatch.setattr(artifact_module, "sha256_file", lambda path: pytest.fail(str(path)))
        assert hasher.file(file) == ABC
        assert Hasher(cache).file(file) == ABC

    def test_notices_an_edit(self, file, cache):
        hasher = Hasher(cache)
        hasher.file(file)
        before = file.stat()
        file.write_text("abd")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
        assert hasher.file(file) == sha256_file(file) != ABC

    def test_notices_another_file_in_its_place(self, file, cache):
        hasher = Hasher(cache)
        hasher.file(file)
        before = file.stat()
        other = write(file.parent, **{"other.txt": "abd"}) / "other.txt"
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(file)
        assert hasher.file(file) == sha256_file(file) != ABC

    def test_without_a_cache_notices_an_edit_that_hides(self, file):
        hasher = Hasher(None)
        hasher.file(file)
        before = file.stat()
        file.write_text("abd")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = file.stat()
        assert (after.st_size, after.st_mtime_ns, after.st_ino) == (3, before.st_mtime_ns,
                                                                    before.st_ino)  # fmt: skip
        assert hasher.file(file) != ABC

    def test_reads_read_only_files_and_trusts_them_no_more(self, file):
        file.chmod(0o444)
        assert Hasher(None).file(file) == ABC
        before = file.stat()
        file.chmod(0o644)
        file.write_text("abd")
        file.chmod(0o444)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert Hasher(None).file(file) != ABC

    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff"])
    def test_begins_anew_where_its_cache_is_broken(self, file, cache, raw):
        cache.parent.mkdir()
        cache.write_bytes(raw)
        assert Hasher(cache).file(file) == ABC

    def test_forgets_files_that_are_gone(self, file, cache):
        hasher = Hasher(cache)
        hasher.file(file)
        file.unlink()
        hasher.save()
        assert cache.read_text() == "{}"

    def test_writes_no_cache_where_nothing_is_new(self, file, cache):
        Hasher(cache).save()
        assert not cache.exists()
        without = Hasher(None)
        without.file(file)
        without.save()
        assert list(file.parent.iterdir()) == [file]


class TestWriteAtomically:
    def test_replaces_the_content(self, tmp_path):
        path = tmp_path / "deep" / "file"
        write_atomically(path, b"old")
        write_atomically(path, b"new")
        assert path.read_bytes() == b"new"
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.parametrize("step", ["fsync", "replace"])
    def test_keeps_the_old_and_leaves_no_scratch_where_it_fails(self, tmp_path, monkeypatch, step):
        def fail(*_arguments: object) -> None:
            raise OSError(errno.ENOSPC, "no space")

        path = tmp_path / "file"
        path.write_bytes(b"old")
        monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
        with pytest.raises(OSError, match="no space"):
            write_atomically(path, b"new")
        monkeypatch.undo()
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def place(tmp_path):
    """An artifact that holds `old`, with `new` ready in its scratch."""
    place = ArtifactPath(tmp_path / "data" / "items" / "age-22-34")
    write(place.directory, **{"files/a.txt": "old"})
    write(place.scratch, **{"files/b.txt": "new"})
    return place


def content(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): path.read_text()
        for path in directory.rglob("*")
        if path.is_file()
    }


OLD, NEW = {"files/a.txt": "old"}, {"files/b.txt": "new"}


def without_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact_module, "exchange", lambda _first, _second: False)


class TestSwap:
    def test_puts_the_first_artifact_in_place(self, tmp_path):
        place = ArtifactPath(tmp_path / "data" / "new" / "items")
        scratch = tmp_path / "data" / "new" / ".items.scratch"
        write(scratch, **NEW)
        place.swap_in()
        assert content(place.directory) == NEW
        assert list(place.directory.parent.iterdir()) == [place.directory]

    @pytest.mark.parametrize("system", ["exchanges", "does not"])
    def test_replaces_the_old_and_leaves_nothing_behind(self, place, monkeypatch, system):
        if system == "does not":
            without_exchange(monkeypatch)
        place.swap_in()
        assert content(place.directory) == NEW
        assert list(place.directory.parent.iterdir()) == [place.directory]

    @pytest.mark.parametrize("system", ["exchanges", "does not"])
    def test_replaces_read_only_files(self, place, monkeypatch, system):
        if system == "does not":
            without_exchange(monkeypatch)
        for path in (place.files / "a.txt", place.scratch / "files" / "b.txt"):
            path.chmod(0o444)
        place.swap_in()
        assert content(place.directory) == NEW
        assert (place.files / "b.txt").stat().st_mode & 0o777 == 0o444

    def test_a_system_that_exchanges_is_never_without_an_artifact(self, place, monkeypatch):
        monkeypatch.setattr(Path, "rename", lambda *_arguments: pytest.fail("renamed"))
        place.swap_in()
        assert content(place.directory) == NEW

    @pytest.mark.parametrize("survived", [0, 1])
    def test_cut_off_between_renames_loses_nothing(self, place, monkeypatch, survived):
        renamed = Path.rename
        done: list[Path] = []

        def cut_off(self: Path, target: Path) -> Path:
            if len(done) == survived:
                raise KeyboardInterrupt
            done.append(self)
            return renamed(self, target)

        without_exchange(monkeypatch)
        monkeypatch.setattr(Path, "rename", cut_off)
        with pytest.raises(KeyboardInterrupt):
            place.swap_in()
        monkeypatch.setattr(Path, "rename", renamed)
        assert content(place.directory if survived == 0 else place.old) == OLD
        place.recover()
        assert content(place.directory) == OLD
        assert content(place.scratch) == NEW
        place.swap_in()
        assert content(place.directory) == NEW
        assert not place.old.exists()

    def test_cut_off_after_both_renames_keeps_the_new(self, place, monkeypatch):
        without_exchange(monkeypatch)
        monkeypatch.setattr(artifact_module.shutil, "rmtree", lambda *_a, **_k: None)
        place.swap_in()
        monkeypatch.undo()
        assert content(place.old) == OLD
        place.recover()
        assert content(place.directory) == NEW
        place.clear_scratch()
        assert list(place.directory.parent.iterdir()) == [place.directory]

    def test_recovers_nothing_where_nothing_was_cut_off(self, place):
        place.recover()
        assert content(place.directory) == OLD

    def test_a_swap_that_cannot_be_is_an_error_and_changes_nothing(self, place, monkeypatch):
        def refuse(_first: Path, _second: Path) -> bool:
            raise OSError(errno.EIO, "input/output error")

        monkeypatch.setattr(artifact_module, "exchange", refuse)
        with pytest.raises(OSError, match="input/output"):
            place.swap_in()
        assert content(place.directory) == OLD
        assert content(place.scratch) == NEW

    def test_clears_what_an_earlier_attempt_left(self, place):
        write(place.old, **OLD)
        place.clear_scratch()
        assert list(place.directory.parent.iterdir()) == [place.directory]

    def test_scratch_lies_beside_the_artifact_and_starts_with_a_dot(self, place):
        assert place.scratch == place.directory.parent / ".age-22-34.scratch"
        assert place.old == place.directory.parent / ".age-22-34.old"


class TestExchange:
    def test_swaps_two_directories(self, tmp_path):
        write(tmp_path / "one", **OLD)
        write(tmp_path / "other", **NEW)
        if not exchange(tmp_path / "one", tmp_path / "other"):
            pytest.skip("this file system cannot exchange")
        assert content(tmp_path / "one") == NEW
        assert content(tmp_path / "other") == OLD

    def test_of_a_missing_directory_is_an_error_that_names_it(self, tmp_path):
        (tmp_path / "one").mkdir()
        if not exchange(tmp_path / "one", tmp_path / "one"):
            pytest.skip("this file system cannot exchange")
        with pytest.raises(FileNotFoundError) as caught:
            exchange(tmp_path / "one", tmp_path / "absent")
        assert caught.value.filename == str(tmp_path / "absent")

    def test_is_not_there_on_other_systems(self, tmp_path, monkeypatch):
        monkeypatch.setattr(artifact_module.ctypes, "CDLL", lambda *_a, **_k: object())
        assert exchange(tmp_path / "one", tmp_path / "other") is False


def test_rows_of_every_parquet_file_are_counted(tmp_path):
    folder = tmp_path / "it's a=b [folder]"
    (folder / "deep").mkdir(parents=True)
    pl.DataFrame({"a": [1, 2, 3]}).write_parquet(folder / "three.parquet")
    pl.DataFrame({"a": []}).write_parquet(folder / "deep" / "none.parquet")
    write(folder, **{"notes.txt": "not a table"})
    counts = count_rows(folder, Hasher(None).tree(folder))
    assert counts == {"deep/none.parquet": 0, "three.parquet": 3}


def test_a_parquet_file_that_is_none_is_the_methods_failure(tmp_path):
    write(tmp_path, **{"broken.parquet": "not a table"})
    with pytest.raises(MethodError, match=r"broken\.parquet: is not a Parquet file"):
        count_rows(tmp_path, Hasher(None).tree(tmp_path))
