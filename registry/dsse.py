"""DSSE envelopes: a payload, its type, and signatures over both.

The specification: github.com/secure-systems-lab/dsse.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from registry.artifact import canonical_json
from registry.release_keys import PublicKey, ReleaseKey

IN_TOTO = "application/vnd.in-toto+json"
"""The payload type of in-toto statements."""

State = Literal["signed", "by another", "unsigned", "broken"]


@dataclass(frozen=True)
class Checked:
    """What the signature of an envelope proves."""

    state: State
    key: PublicKey | None = None
    """The key that made it, where it is known."""
    named: str = ""
    """The fingerprint of the key that the envelope names."""
    payload: dict[str, Any] | None = None
    """What was signed, read as JSON; to be believed only as far as the state goes."""


def pae(kind: str, payload: bytes) -> bytes:
    """What is signed: type and payload, each with its length, so that none can lend bytes.

    The specification calls it pre-authentication encoding.
    """
    return b"DSSEv1 %d %b %d %b" % (len(kind.encode()), kind.encode(), len(payload), payload)


def seal(statement: Any, key: ReleaseKey | None) -> bytes:
    """An envelope around an in-toto statement; without a key it has no signature."""
    payload = canonical_json(statement)
    signatures = []
    if key is not None:
        signature = base64.b64encode(key.sign(pae(IN_TOTO, payload))).decode()
        signatures.append({"keyid": key.public.fingerprint, "sig": signature})
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": IN_TOTO,
        "signatures": signatures,
    }
    return canonical_json(envelope, indent=2) + b"\n"


def read_envelope(raw: bytes) -> dict[str, Any] | None:
    """An envelope from its bytes; None where they are none."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def check(envelope: dict[str, Any], named: str, keys: Iterable[PublicKey]) -> Checked:
    """Which of some keys signed an envelope.

    Args:
        envelope: The envelope.
        named: The fingerprint of the key that is said to have signed it.
        keys: The keys that could have.

    Returns:
        `by another` where it names a key that is not among them and none of them signed it: that
        key may hold or not. `broken` where it cannot hold.
    """
    try:
        payload = base64.b64decode(envelope["payload"], validate=True)
        kind, signatures = str(envelope["payloadType"]), envelope["signatures"]
        statement = json.loads(payload)
        if kind != IN_TOTO or not isinstance(statement, dict) or not isinstance(signatures, list):
            return Checked("broken")
        if not signatures:
            return Checked("unsigned", payload=statement)
        signature = base64.b64decode(signatures[0]["sig"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error, RecursionError):
        return Checked("broken")
    return _signer(pae(kind, payload), signature, named, list(keys), statement)


def _signer(
    message: bytes,
    signature: bytes,
    named: str,
    keys: Sequence[PublicKey],
    statement: dict[str, Any],
) -> Checked:
    for key in keys:
        if key.holds(signature, message):
            # A signature that names another key than the one that made it was tampered with.
            state: State = "signed" if key.fingerprint == named else "broken"
            return Checked(state, key, named, statement)
    known = any(key.fingerprint == named for key in keys)
    return Checked("broken" if known else "by another", None, named, statement)
