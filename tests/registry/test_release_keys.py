"""Keys that sign releases: what a project trusts, for how long, and what is refused."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from registry import release_keys
from registry.errors import UsageError
from registry.release_keys import (
    PublicKey,
    end,
    load_release_key,
    new_release_key,
    read_public,
    trust,
    trusted,
)
from registry.signing import new_key, write_private

BY, WHY = ["maintainer:1"], "The laptop was lost."


def no_passphrase() -> str:
    raise AssertionError("nobody is asked")


def test_a_key_signs_and_its_public_part_checks(tmp_path: Path) -> None:
    public = new_release_key(tmp_path / "amina.pem", "open sesame")
    key = load_release_key(tmp_path / "amina.pem", lambda: "open sesame")
    signature = key.sign(b"what is signed")
    assert public.pem == key.public.pem == read_public(tmp_path / "amina.pem.pub").pem
    assert public.holds(signature, b"what is signed")
    assert not public.holds(signature, b"what is signee")
    assert not public.holds(b"", b"what is signed")
    assert (tmp_path / "amina.pem").stat().st_mode & 0o777 == 0o600
    assert "open sesame" not in repr(key)


def test_a_wrong_passphrase_and_other_kinds_of_keys_are_refused(tmp_path: Path) -> None:
    new_release_key(tmp_path / "a.pem", "open sesame")
    with pytest.raises(UsageError, match="the passphrase is another"):
        load_release_key(tmp_path / "a.pem", lambda: "open barley")
    new_key(tmp_path / "steward.pem", None)
    with pytest.raises(UsageError, match="is no key that signs releases"):
        load_release_key(tmp_path / "steward.pem", no_passphrase)
    write_private(tmp_path / "odd.pem", ec.generate_private_key(ec.SECP256K1()), None)
    with pytest.raises(UsageError, match="P-256, P-384 and P-521"):
        load_release_key(tmp_path / "odd.pem", no_passphrase)
    with pytest.raises(UsageError, match="is there already"):
        new_release_key(tmp_path / "a.pem", None)
    (tmp_path / "no.pem").write_text("-----BEGIN PUBLIC KEY-----\nx\n")
    with pytest.raises(UsageError, match="is no public key"):
        read_public(tmp_path / "no.pem")
    with pytest.raises(UsageError, match="a folder that is not there"):
        new_release_key(tmp_path / "none" / "a.pem", None)


def test_a_private_key_is_never_made_where_git_would_share_it(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    with pytest.raises(UsageError, match="in a Git repository that does not ignore it"):
        new_release_key(tmp_path / "a.pem", None)
    (tmp_path / ".gitignore").write_text("/own/\n")
    (tmp_path / "own").mkdir()
    new_release_key(tmp_path / "own" / "a.pem", None)


def test_a_replaced_key_counts_until_its_day_and_a_revoked_one_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_keys, "today", lambda: dt.date(2026, 5, 4))
    new_release_key(tmp_path / "a.pem", None)
    root = tmp_path / "project"
    trust(root, tmp_path / "a.pem.pub", "amina")
    assert [key.doubt("2027-01-01") for key in trusted(root)] == [""]
    end(root, "amina", "replaced", BY, "A new laptop.")
    (key,) = trusted(root)
    assert key.doubt("2026-05-04") == ""
    assert key.doubt("2026-05-05") == "the key amina was replaced on 2026-05-04: A new laptop."
    with pytest.raises(UsageError, match="was replaced already"):
        end(root, "amina", "replaced", BY, WHY)
    end(root, "amina", "revoked", BY, WHY)
    (key,) = trusted(root)
    assert key.doubt("2020-01-01") == f"the key amina was revoked on 2026-05-04: {WHY}"
    with pytest.raises(UsageError, match="was revoked already"):
        end(root, "amina", "replaced", BY, WHY)


def test_one_key_has_one_name_and_never_comes_back(tmp_path: Path) -> None:
    for name in "ab":
        new_release_key(tmp_path / f"{name}.pem", None)
    root = tmp_path / "project"
    trust(root, tmp_path / "a.pem.pub", "amina")
    for file, name in (("a", "other"), ("b", "amina")):
        with pytest.raises(UsageError, match="knows amina already"):
            trust(root, tmp_path / f"{file}.pem.pub", name)
    for name in ("../up", "A", "", "a b", ".ended"):
        with pytest.raises(UsageError, match="is no name for a key"):
            trust(root, tmp_path / "b.pem.pub", name)
    with pytest.raises(UsageError, match="no key is called 'bo'"):
        end(root, "bo", "revoked", BY, WHY)
    with pytest.raises(UsageError, match="by"):
        end(root, "amina", "revoked", [], WHY)


def test_a_word_that_is_none_is_an_error_not_a_pardon(tmp_path: Path) -> None:
    new_release_key(tmp_path / "a.pem", None)
    root = tmp_path / "project"
    trust(root, tmp_path / "a.pem.pub", "amina")
    (root / release_keys.FOLDER / "amina.ended.yaml").write_text("how: forgiven\n")
    with pytest.raises(UsageError, match=r"amina\.ended\.yaml"):
        trusted(root)


def test_the_fingerprint_is_that_of_model_signing() -> None:
    assert PublicKey("x", b"").fingerprint == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
