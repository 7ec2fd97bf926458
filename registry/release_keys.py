"""Keys that sign releases: a maintainer's private file, and public keys that a project trusts.

They are elliptic curve keys (P-256), which model-signing takes; stewards sign with Ed25519 keys
(`registry.signing`). A project trusts what lies in `registry/keys/` now, not what lay there when a
release was made: whoever forges a release could add a key to it. A key whose time is over stays,
with a file that says how it ended:

* `replaced`: what it signed until that day still counts;
* `revoked`: nothing that it signed counts any more, since somebody else may have signed it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from registry import git
from registry.artifact import write_atomically
from registry.consent import Date, today
from registry.errors import UsageError, relative
from registry.profile import Reference
from registry.profile_tables import check_text
from registry.signing import open_private, write_private
from registry.strict_yaml import read, typed
from registry.typed import Frozen

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

FOLDER = "registry/keys"
_ENDED = ".ended.yaml"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")
_CURVES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}
"""The curves that model-signing takes, and the hash that goes with each."""
_MAKE = "`chorus key new FILE` makes a key"


class Ended(Frozen):
    """How a key's time ended: `registry/keys/NAME.ended.yaml`."""

    how: Literal["replaced", "revoked"]
    """Whether what it signed before still counts."""
    on: Date
    """The last day on which it counted, where it was replaced; the day of the word otherwise."""
    by: tuple[Reference, ...] = Field(min_length=1)
    """Who decided."""
    reason: Annotated[str, Field(min_length=3, max_length=500), AfterValidator(check_text)]
    """Why."""


@dataclass(frozen=True)
class PublicKey:
    """A public key that checks signatures."""

    name: str
    pem: bytes
    """Its PEM form, as model-signing hashes it."""
    ended: Ended | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the PEM form: the hint that model-signing writes into a signature."""
        return hashlib.sha256(self.pem).hexdigest()

    def holds(self, signature: bytes, message: bytes) -> bool:
        """Whether a signature over a message was made with its private part."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            _public(self.pem, self.name).verify(signature, message, ec.ECDSA(_hash(self.pem)))
        except InvalidSignature:
            return False
        return True

    def doubt(self, signed_on: str) -> str:
        """Why its signature of a day does not count; nothing where it does."""
        if self.ended is None or (self.ended.how == "replaced" and signed_on <= self.ended.on):
            return ""
        return f"the key {self.name} was {self.ended.how} on {self.ended.on}: {self.ended.reason}"


@dataclass(frozen=True)
class ReleaseKey:
    """A private key that signs releases."""

    path: Path
    public: PublicKey
    password: bytes | None = field(repr=False)
    _private: EllipticCurvePrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """An ECDSA signature over a message, in DER."""
        from cryptography.hazmat.primitives.asymmetric import ec

        return self._private.sign(message, ec.ECDSA(_hash(self.public.pem)))


def new_release_key(path: Path, passphrase: str | None) -> PublicKey:
    """Writes a new private key, and beside it the public one with the ending `.pub`.

    Raises:
        UsageError: One of the files exists, or Git would share the private one.
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    public_path = path.with_name(f"{path.name}.pub")
    if public_path.exists():
        raise UsageError("is there already", where=str(public_path), mend="name another file")
    if path.parent.is_dir() and git.shares(path):
        raise UsageError(
            "lies in a Git repository that does not ignore it",
            where=str(path),
            why="what lies there is shared, and whoever has the private key can sign as you",
            mend="name a file in a folder of your own",
        )
    private = ec.generate_private_key(ec.SECP256R1())
    write_private(path, private, passphrase)
    found = PublicKey(path.stem, _pem(private.public_key()))
    write_atomically(public_path, found.pem)
    return found


def load_release_key(path: Path, passphrase: Callable[[], str]) -> ReleaseKey:
    """Reads a private key; `passphrase` is asked only where the file needs one.

    Raises:
        UsageError: It is missing, open to others, of another kind, or the passphrase is wrong.
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    private, password = open_private(path, passphrase, _MAKE)
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name not in _CURVES:
        raise UsageError(
            "is no key that signs releases",
            where=str(path),
            why="model-signing takes keys on the curves P-256, P-384 and P-521",
            mend=_MAKE,
        )
    public = PublicKey(path.stem, _pem(private.public_key()))
    return ReleaseKey(path, public, password, private)


def read_public(path: Path, name: str = "") -> PublicKey:
    """Reads a public key from a PEM file; raises UsageError where it is none."""
    if not path.is_file():
        raise UsageError("no such key file", where=str(path), mend="name a public key in PEM form")
    key = _public(path.read_bytes(), str(path))
    return PublicKey(name or path.name.removesuffix(".pem").removesuffix(".pub"), _pem(key))


def trusted(root: Path) -> tuple[PublicKey, ...]:
    """Every key that a project trusts or once trusted, by name."""
    found = []
    for path in sorted((root / FOLDER).glob("*.pem")):
        key = read_public(path, path.stem)
        found.append(PublicKey(key.name, key.pem, _ended(root, key.name)))
    return tuple(found)


def _ended(root: Path, name: str) -> Ended | None:
    path = root / FOLDER / f"{name}{_ENDED}"
    if not path.exists():
        return None
    document, problems = read(path, relative(path, root))
    if document is not None:
        ended, found = typed(Ended, document)
        problems += found
        if ended is not None and not problems:
            return ended
    first = problems[0]
    raise UsageError(first.what, where=str(first.place), mend=first.mend or "mend the file")


def trust(root: Path, path: Path, name: str) -> PublicKey:
    """Takes a public key into the project; raises UsageError where name or key is known already."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a key", mend="use small letters, digits and hyphens"
        )
    key = read_public(path, name)
    for known in trusted(root):
        if known.fingerprint == key.fingerprint or known.name == name:
            raise UsageError(
                f"the project knows {known.name} already",
                where=str(path),
                why="one key has one name, and a key that ended never comes back",
                mend="see `chorus key list`; give a new key a new name",
            )
    write_atomically(root / FOLDER / f"{name}.pem", key.pem)
    return key


def end(
    root: Path,
    name: str,
    how: Literal["replaced", "revoked"],
    by: Sequence[str],
    reason: str,
) -> Path:
    """Writes down that a key's time is over; a replaced key can still be revoked."""
    import yaml
    from pydantic import ValidationError

    known = {key.name: key for key in trusted(root)}
    if name not in known:
        shown = ", ".join(known) or "none"
        raise UsageError(f"no key is called {name!r}", mend=f"keys here: {shown}")
    standing = known[name].ended
    if standing is not None and (standing.how, how) != ("replaced", "revoked"):
        raise UsageError(f"{name} was {standing.how} already, on {standing.on}")
    try:
        word = Ended(how=how, on=today().isoformat(), by=tuple(by), reason=reason)
    except ValidationError as error:
        said = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())
        raise UsageError(said, mend="add --by maintainer:1 and --reason WHY") from None
    path = root / FOLDER / f"{name}{_ENDED}"
    text = yaml.safe_dump(word.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_atomically(path, text.encode())
    return path


def _public(pem: bytes, where: str) -> EllipticCurvePublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except ValueError:
        raise UsageError("is no public key in PEM form", where=where, mend=_MAKE) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise UsageError("is no key that checks releases", where=where, mend=_MAKE)
    return key


def _hash(pem: bytes) -> HashAlgorithm:
    """The hash that goes with a key's curve, as model-signing pairs them."""
    from cryptography.hazmat.primitives import hashes

    wanted: HashAlgorithm = getattr(hashes, _CURVES[_public(pem, "the key").curve.name])()
    return wanted


def _pem(key: EllipticCurvePublicKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
