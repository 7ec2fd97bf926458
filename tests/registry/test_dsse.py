"""DSSE envelopes: the specification's own example, and what a stranger can do to one."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.dsse import check, pae, read_envelope, seal
from registry.release_keys import ReleaseKey, load_release_key, new_release_key


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[ReleaseKey]:
    folder = tmp_path_factory.mktemp("keys")
    found = []
    for name in ("own", "other"):
        new_release_key(folder / f"{name}.pem", None)
        found.append(load_release_key(folder / f"{name}.pem", lambda: ""))
    return found


def test_what_is_signed_is_as_the_specification_says() -> None:
    # github.com/secure-systems-lab/dsse, protocol.md
    said = pae("http://example.com/HelloWorld", b"hello world")
    assert said == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_whoever_signed_is_found(keys: list[ReleaseKey]) -> None:
    own, other = keys
    envelope = read_envelope(seal({"a": 1}, own))
    assert envelope is not None
    named = own.public.fingerprint
    assert check(envelope, named, [other.public, own.public]).state == "signed"
    assert check(envelope, named, [other.public]).state == "by another"
    assert check(envelope, named, []).payload == {"a": 1}
    # A name that was changed in it does not make another's signature of it.
    assert check(envelope, other.public.fingerprint, [own.public]).state == "broken"
    assert check(envelope, other.public.fingerprint, [other.public]).state == "broken"


def test_without_a_key_it_is_unsigned(keys: list[ReleaseKey]) -> None:
    envelope = read_envelope(seal({"a": 1}, None))
    assert envelope is not None
    assert check(envelope, "", [keys[0].public]).state == "unsigned"


def test_another_payload_under_the_same_signature_is_broken(keys: list[ReleaseKey]) -> None:
    envelope = json.loads(seal({"a": 1}, keys[0]))
    envelope["payload"] = base64.b64encode(b'{"a": 2}').decode()
    found = check(envelope, keys[0].public.fingerprint, [keys[0].public])
    assert found.state == "broken"


_ODD = st.sampled_from(
    [None, 1, "", "e30=", "x", [], [{}], [None], {"sig": 1}, [{"sig": "AA=="}], [{"sig": []}]]
)


@given(st.dictionaries(st.sampled_from(["payload", "payloadType", "signatures"]), _ODD))
def test_no_envelope_of_a_stranger_is_ever_signed_or_a_crash(envelope: dict[str, object]) -> None:
    assert check(envelope, "", []).state in ("broken", "by another", "unsigned")


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b"[" * 100_000, b"null"])
def test_what_is_no_envelope_is_none(raw: bytes) -> None:
    assert read_envelope(raw) is None
