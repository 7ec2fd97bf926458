"""Ed25519 keys and signatures: a private file that its owner keeps, and a public line.

The public key is written as `ed25519:` and base64 of its 32 bytes, a signature as base64 of its 64.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PREFIX = "ed25519:"
_OTHERS = 0o077
"""The bits of a file's mode that let other users of the machine in."""


@dataclass(frozen=True)
class Signer:
    """Somebody who holds a private key."""

    public: str
    """The public key that checks what is signed."""
    _private: Ed25519PrivateKey = field(repr=False)

    def sign(self, message: bytes) -> str:
        """The signature over a message."""
        return base64.b64encode(self._private.sign(message)).decode()


def new_key(path: Path, passphrase: str | None) -> str:
    """Writes a new private key that only its owner can read; returns the public key.

    Raises:
        UsageError: The file exists: a key that is written over can never sign again.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    guard: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase.encode())
        if passphrase
        else serialization.NoEncryption()
    )
    text = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, guard
    )
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(
            "is there already",
            where=str(path),
            why="a key that is written over can never sign again",
            mend="name another file",
        ) from None
    with os.fdopen(handle, "wb") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    return _public(private)


def load_key(path: Path, passphrase: Callable[[], str]) -> Signer:
    """Reads a private key; `passphrase` is asked only where the file needs one.

    Raises:
        UsageError: It is missing, open to others, of another kind, or the passphrase is wrong.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    where = str(path)
    if not path.is_file():
        raise UsageError("no such key file", where=where, mend="name the file of the private key")
    if path.stat().st_mode & _OTHERS:
        raise UsageError(
            "can be read by other users of this machine",
            where=where,
            why="whoever reads a private key can sign in the steward's name",
            mend=f"run `chmod 600 {path}`; if somebody may have read it, make a new key",
        )
    raw = path.read_bytes()
    try:
        try:
            private = load_pem_private_key(raw, None)
        except TypeError:  # it is guarded by a passphrase
            private = load_pem_private_key(raw, passphrase().encode())
    except ValueError:
        raise UsageError(
            "cannot be opened: it is no private key, or the passphrase is another",
            where=where,
            mend="try again; `chorus profile key new FILE` makes a key",
        ) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError(
            "is a key of another kind", where=where, mend="make one: `chorus profile key new FILE`"
        )
    return Signer(_public(private), private)


def _public(private: Ed25519PrivateKey) -> str:
    return _PREFIX + base64.b64encode(private.public_key().public_bytes_raw()).decode()


def holds(public: str, signature: str, message: bytes) -> bool:
    """Whether a signature over a message was made with the private part of a public key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        raw = base64.b64decode(public.removeprefix(_PREFIX), validate=True)
        key = Ed25519PublicKey.from_public_bytes(raw)
        key.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, ValueError):
        return False
    return True
