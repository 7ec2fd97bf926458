"""Private keys in files that their owners keep, and the stewards' Ed25519 signatures.

A steward's public key is written as `ed25519:` and base64 of its 32 bytes, a signature as base64
of its 64. Releases are signed with keys of another kind (`registry.release_keys`), in files like
these.
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
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

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
        UsageError: The file exists.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    write_private(path, private, passphrase)
    return _public(private)


def write_private(
    path: Path, private: Ed25519PrivateKey | EllipticCurvePrivateKey, passphrase: str | None
) -> None:
    """Writes a private key into a new file that only its owner can read.

    Raises:
        UsageError: The file exists: a key that is written over can never sign again.
    """
    from cryptography.hazmat.primitives import serialization

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
    except FileNotFoundError:
        raise UsageError(
            "lies in a folder that is not there", where=str(path), mend="make the folder first"
        ) from None
    with os.fdopen(handle, "wb") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def load_key(path: Path, passphrase: Callable[[], str]) -> Signer:
    """Reads a steward's private key; `passphrase` is asked only where the file needs one.

    Raises:
        UsageError: It is missing, open to others, of another kind, or the passphrase is wrong.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    make = "`chorus profile key new FILE` makes a key"
    private, _ = open_private(path, passphrase, make)
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError("is a key of another kind", where=str(path), mend=f"name another; {make}")
    return Signer(_public(private), private)


def open_private(
    path: Path, passphrase: Callable[[], str], make: str
) -> tuple[PrivateKeyTypes, bytes | None]:
    """Reads a private key of any kind; returns it with the passphrase that opened it, if any.

    Args:
        path: The file.
        passphrase: Asked only where the file needs one.
        make: How a person makes a key of the kind that is wanted.

    Raises:
        UsageError: It is missing, open to others, no key, or the passphrase is wrong.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    where = str(path)
    if not path.is_file():
        raise UsageError("no such key file", where=where, mend="name the file of the private key")
    if path.stat().st_mode & _OTHERS:
        raise UsageError(
            "can be read by other users of this machine",
            where=where,
            why="whoever reads a private key can sign in its owner's name",
            mend=f"run `chmod 600 {path}`; if somebody may have read it, make a new key",
        )
    raw = path.read_bytes()
    given: bytes | None = None
    try:
        try:
            return load_pem_private_key(raw, None), None
        except TypeError:  # it is guarded by a passphrase
            given = passphrase().encode()
            return load_pem_private_key(raw, given), given
    except ValueError:
        raise UsageError(
            "cannot be opened: it is no private key, or the passphrase is another",
            where=where,
            mend=f"try again; {make}",
        ) from None


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
