"""A release folder that somebody downloaded: what a public key alone proves of it."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.artifact import Hasher, canonical_json
from registry.dsse import seal
from registry.errors import UsageError
from registry.lineage import Verification
from registry.notices import add_notice
from registry.release_folder import verify_folder
from registry.release_keys import (
    Ended,
    PublicKey,
    ReleaseKey,
    load_release_key,
    new_release_key,
    read_public,
)
from registry.release_signature import sign_folder
from tests.conftest import Folder
from tests.registry.test_release import NODE, TOY, commit

OLD = Path(__file__).parents[1] / "fixtures" / "releases" / "schema-2"
KINDS = {
    "weights": "counts.json",
    "manifest": "lineage/words.json",
    "card": "README.md",
    "statement": "release.json",
    "signature": "model.sig",
    "in-toto statement": "provenance.intoto.json",
    "bill of materials": "bom.cdx.json",
    "Croissant": "croissant.json",
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ReleaseKey]:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("amina", "mallory"):
        new_release_key(folder / f"{name}.pem", None)
    return {p.stem: load_release_key(p, lambda: "") for p in folder.glob("*.pem")}


@pytest.fixture(scope="module")
def project(
    _toy_template: Folder, keys: dict[str, ReleaseKey], tmp_path_factory: pytest.TempPathFactory
) -> Folder:
    folder = _toy_template.copied(tmp_path_factory.mktemp("released"))
    folder.chorus("make", NODE, "--upstream")
    key = keys["amina"].path
    folder.chorus("key", "trust", f"{key}.pub", "--name", "amina")
    commit(folder)
    folder.chorus("release", NODE, "--version", "1.0.0", *TOY, "--sign-with", str(key))
    return folder


@pytest.fixture
def downloaded(project: Folder, tmp_path: Path) -> Path:
    """A copy of the release folder, and nothing of the project."""
    target = tmp_path / "downloaded"
    shutil.copytree(project.root / "releases/count/age-22-34/1.0.0", target)
    return target


@pytest.fixture
def proved(keys: dict[str, ReleaseKey]) -> Callable[[Path], Verification]:
    return lambda folder: verify_folder(folder, [keys["amina"].public]).verification


def said(found: Verification) -> str:
    return "\n".join(f"{hop.name}: {'; '.join(hop.findings)}" for hop in found.hops)


def test_what_was_released_is_verified_with_the_public_key_alone(
    downloaded: Path, keys: dict[str, ReleaseKey]
) -> None:
    proof = verify_folder(downloaded, [keys["amina"].public])
    assert proof.verification.verdict == "verified", said(proof.verification)
    assert {hop.name for hop in proof.verification.hops} == {
        "release count/age-22-34 1.0.0", "signature", "in-toto statement",
        NODE, "letters@age-22-34", "words",
    }  # fmt: skip
    manifest = Hasher(None).file(downloaded / "lineage/words.json")
    named = {(one.what, one.name): one.sha256 for one in proof.materials}
    assert named["manifest", "words"] == manifest
    assert ("table", "age-22-34/opinions.csv") in named
    assert ("terms", "age-22-34 for train-sft") in named


def test_the_librarys_own_verifier_agrees(
    downloaded: Path, keys: dict[str, ReleaseKey], proved: Callable[[Path], Verification]
) -> None:
    from model_signing import verifying

    public = keys["amina"].path.with_name("amina.pem.pub")
    verifier = verifying.Config().use_elliptic_key_verifier(public_key=public)
    verifier.verify(downloaded, downloaded / "model.sig")
    (downloaded / "counts.json").write_text("{}")
    with pytest.raises(ValueError, match=r"counts\.json"):
        verifier.verify(downloaded, downloaded / "model.sig")
    assert proved(downloaded).verdict == "broken"


@pytest.mark.parametrize("path", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("mode", [0o644, 0o444], ids=["writable", "read-only"])
def test_one_flipped_byte_of_any_file_is_found_anywhere_in_it(
    downloaded: Path, proved: Callable[[Path], Verification], path: str, mode: int
) -> None:
    file = downloaded / path
    whole = file.read_bytes()
    for place in {0, 1, len(whole) // 3, len(whole) // 2, 2 * len(whole) // 3, len(whole) - 2}:
        file.chmod(0o644)
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        file.chmod(mode)
        found = proved(downloaded)
        assert found.verdict == "broken", (place, said(found))
        assert path in said(found)


def test_every_byte_of_the_signature_counts(
    downloaded: Path, proved: Callable[[Path], Verification]
) -> None:
    """A signature file is JSON: a byte that means nothing may change, and then it still holds."""
    file = downloaded / "model.sig"
    whole = file.read_bytes()
    for place in range(0, len(whole), 61):
        changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        file.write_bytes(changed)
        found = proved(downloaded)
        assert found.verdict in ("broken", "verified"), place
        if found.verdict == "verified":
            one, other = json.loads(changed), json.loads(whole)
            assert one["dsseEnvelope"] == other["dsseEnvelope"], place


def test_swapped_files_of_equal_size_are_found(
    downloaded: Path, proved: Callable[[Path], Verification]
) -> None:
    one, other = downloaded / "lineage/words.json", downloaded / "lineage/letters@age-22-34.json"
    first, second = one.read_bytes(), other.read_bytes()
    size = max(len(first), len(second))
    one.write_bytes(second.ljust(size))
    other.write_bytes(first.ljust(size))
    found = said(proved(downloaded))
    assert "lineage/words.json was altered" in found
    assert "lineage/letters@age-22-34.json is not the one that the statement names" in found


def rehash(folder: Path) -> None:
    """Makes statement and folder fit each other again, as a forger would."""
    statement = json.loads((folder / "release.json").read_text())
    statement["manifests"] = {
        node: Hasher(None).file(folder / f"lineage/{node}.json") for node in statement["manifests"]
    }
    statement["files"] = [
        entry.model_dump()
        for entry in Hasher(None).tree(folder)
        if entry.path not in ("release.json", "model.sig")
    ]
    (folder / "release.json").write_bytes(canonical_json(statement, indent=2) + b"\n")


def forge(folder: Path) -> None:
    path = folder / "lineage/words.json"
    manifest = json.loads(path.read_text())
    manifest["licence"] = "MIT"
    path.write_bytes(canonical_json(manifest, indent=2) + b"\n")
    rehash(folder)


def test_a_manifest_rehashed_with_statement_and_folder_is_caught_by_the_signature(
    downloaded: Path, proved: Callable[[Path], Verification]
) -> None:
    forge(downloaded)
    found = proved(downloaded)
    assert found.verdict == "broken"
    states = {hop.name: hop.state for hop in found.hops}
    assert states["release count/age-22-34 1.0.0"] == "verified"
    assert states["signature"] == "broken"
    assert "lineage/words.json is not as it was signed" in said(found)
    assert "its materials are others than the lineage's: manifest words" in said(found)


def test_a_forgery_that_is_signed_anew_or_stripped_is_never_verified(
    downloaded: Path, keys: dict[str, ReleaseKey], proved: Callable[[Path], Verification]
) -> None:
    forge(downloaded)
    (downloaded / "model.sig").unlink()
    found = proved(downloaded)
    assert found.verdict == "broken"
    assert "model.sig is missing, and the statement says that key" in said(found)
    statement = json.loads((downloaded / "release.json").read_text())
    statement["signed_by"] = ""
    provenance = json.loads((downloaded / "provenance.intoto.json").read_text())
    payload = json.loads(base64.b64decode(provenance["payload"]))
    for one in payload["predicate"]["buildDefinition"]["resolvedDependencies"]:
        if one["name"] == "manifest words":
            one["digest"]["sha256"] = statement["manifests"]["words"]
    (downloaded / "release.json").write_bytes(canonical_json(statement, indent=2) + b"\n")
    (downloaded / "provenance.intoto.json").write_bytes(seal(payload, None))
    rehash(downloaded)
    assert proved(downloaded).verdict == "unsigned"
    statement["signed_by"] = keys["mallory"].public.fingerprint
    (downloaded / "release.json").write_bytes(canonical_json(statement, indent=2) + b"\n")
    (downloaded / "provenance.intoto.json").write_bytes(seal(payload, keys["mallory"]))
    rehash(downloaded)
    sign_folder(downloaded, keys["mallory"])
    found = proved(downloaded)
    assert found.verdict == "unsigned"
    assert "signed with a key that is not trusted here" in said(found)


def test_another_key_a_revoked_one_and_none_do_not_verify(
    downloaded: Path, keys: dict[str, ReleaseKey]
) -> None:
    own = keys["amina"].public
    gone = Ended(how="revoked", on="2026-12-01", by=("maintainer:1",), reason="It was stolen.")
    late = Ended(how="replaced", on="2020-01-01", by=("maintainer:1",), reason="A new one.")
    later = Ended(how="replaced", on="2999-01-01", by=("maintainer:1",), reason="A new one.")
    for trusted, verdict, finding in (
        ([], "unsigned", "not trusted here"),
        ([keys["mallory"].public], "unsigned", "not trusted here"),
        ([PublicKey("amina", own.pem, gone)], "unsigned", "was revoked on 2026-12-01: It was"),
        ([PublicKey("amina", own.pem, late)], "unsigned", "was replaced on 2020-01-01"),
        ([PublicKey("amina", own.pem, later)], "verified", "signed by amina"),
        ([keys["mallory"].public, own], "verified", "signed by"),
    ):
        found = verify_folder(downloaded, trusted).verification
        assert found.verdict == verdict
        assert finding in said(found)


def test_what_is_added_is_found_and_what_hubs_add_is_told(
    downloaded: Path, proved: Callable[[Path], Verification]
) -> None:
    (downloaded / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    found = proved(downloaded)
    assert found.verdict == "verified"
    assert ".gitattributes is no part of it" in said(found)
    (downloaded / "modeling_own.py").write_text("import os")
    found = proved(downloaded)
    assert found.verdict == "broken"
    assert "modeling_own.py is not in the statement" in said(found)
    assert "modeling_own.py was added" in said(found)


def test_a_notice_that_was_added_later_is_told_and_breaks_nothing(
    downloaded: Path, proved: Callable[[Path], Verification]
) -> None:
    add_notice(downloaded / "README.md", "Its community withdrew.")
    found = proved(downloaded)
    assert found.verdict == "verified"
    assert "Retired. Its community withdrew." in said(found)


@pytest.mark.parametrize("text", ["", "{}", "[" * 50_000, "null", '{"schema_version": 9}'])
def test_a_statement_that_is_none_is_broken_and_no_crash(
    downloaded: Path, proved: Callable[[Path], Verification], text: str
) -> None:
    (downloaded / "release.json").write_text(text)
    assert proved(downloaded).verdict == "broken"
    (downloaded / "release.json").unlink()
    assert "release.json is missing" in said(proved(downloaded))


@pytest.mark.parametrize("path", ["model.sig", "provenance.intoto.json"])
@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"verificationMaterial": {}, "dsseEnvelope": 1}']
)
def test_a_signature_that_is_none_is_broken_and_no_crash(
    downloaded: Path, proved: Callable[[Path], Verification], path: str, text: str
) -> None:
    (downloaded / path).write_text(text)
    assert proved(downloaded).verdict == "broken"


def test_a_link_and_a_folder_that_is_missing(
    downloaded: Path, proved: Callable[[Path], Verification]
) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        proved(downloaded / "none")
    (downloaded / "counts.json").unlink()
    (downloaded / "counts.json").symlink_to("/etc/hostname")
    assert "is a link or a device" in said(proved(downloaded))


def test_a_manifest_that_names_a_path_outside_is_never_read(
    downloaded: Path, proved: Callable[[Path], Verification]
) -> None:
    statement = json.loads((downloaded / "release.json").read_text())
    statement["manifests"]["../../../etc/passwd"] = "0" * 64
    (downloaded / "release.json").write_text(json.dumps(statement))
    found = proved(downloaded)
    assert found.verdict == "broken"
    assert "lineage/../../../etc/passwd.json is not the one" in said(found)


# As a stranger does it.


def test_a_stranger_verifies_it_outside_anyproject(
    project: Folder, downloaded: Path, keys: dict[str, ReleaseKey]
) -> None:
    outside = Folder(downloaded.parent, project.env)
    key = str(keys["amina"].path.with_name("amina.pem.pub"))
    done = outside.chorus("release", "verify", "downloaded", "--key", key)
    assert done.out.startswith("verified: every byte")
    assert "What it was made from, as its in-toto statement names it:" in done.out
    outside.chorus("release", "verify", "downloaded", expect=1)
    (downloaded / "counts.json").write_text("{}")
    found = outside.chorus("release", "verify", "downloaded", "--key", key, "--json", expect=3).json
    assert found["verdict"] == "broken"


def test_a_release_of_the_second_schema_is_verified_for_ever(keys: dict[str, ReleaseKey]) -> None:
    """It was made before releases were signed: whole, and vouched for by nobody."""
    proof = verify_folder(OLD, [keys["amina"].public])
    assert proof.verification.verdict == "unsigned", said(proof.verification)
    assert proof.statement is not None
    assert proof.statement.schema_version == 2
    broken = [hop for hop in proof.verification.hops if hop.state not in ("verified", "unsigned")]
    assert not broken


def test_a_release_of_the_third_schema_is_verified_for_ever() -> None:
    folder = OLD.with_name("schema-3")
    proof = verify_folder(folder, [read_public(OLD.with_name("schema-3.pem"))])
    assert proof.verification.verdict == "verified", said(proof.verification)
