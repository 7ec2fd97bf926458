"""The signature over a release folder: written by model-signing, and checked here.

`model.sig` is a Sigstore bundle over every other file of the folder, so that a stranger's
`model_signing verify key` reads it too. Here the files are hashed once for everything that is
proved of them, a card is checked as it was released, and each file that differs is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.dsse import Checked, check, read_envelope
from registry.errors import ChorusError
from registry.release_keys import PublicKey, ReleaseKey

if TYPE_CHECKING:
    from registry.lineage import HopState

FILE = "model.sig"
SIGSTORE = "sigstore"
"""What a statement names as its signer where nobody's key signed it, but an identity."""
_PREDICATE = "https://model_signing/signature/v1.0"


@dataclass(frozen=True)
class Signed:
    """What a signature proves."""

    state: HopState
    said: str
    """Who signed, or why it proves nothing."""
    findings: tuple[str, ...] = ()
    """The files that are not as they were signed."""
    fingerprint: str = ""


@dataclass(frozen=True)
class Identity:
    """Whose keyless signature is expected."""

    name: str
    """An address, or the address of a workflow."""
    issuer: str
    """Who vouches for it."""


def sign_folder(folder: Path, key: ReleaseKey | None) -> None:
    """Signs every file of a folder; without a key by an identity, which needs the network."""
    from model_signing import hashing, signing

    config = signing.Config().set_hashing_config(
        hashing.Config().set_ignored_paths(paths=[folder / FILE])
    )
    if key is None:
        _sign_keyless(config, folder)
        return
    password: Any = key.password  # its annotation says str; cryptography takes bytes
    config.use_elliptic_key_signer(private_key=key.path, password=password)
    config.sign(folder, folder / FILE)


def _sign_keyless(config: Any, folder: Path) -> None:
    from sigstore.errors import Error as SigstoreError
    from tuf.api.exceptions import DownloadError, RepositoryError

    try:
        config.use_sigstore_signer().sign(folder, folder / FILE)
    except (OSError, SigstoreError, DownloadError, RepositoryError) as error:
        raise ChorusError(
            f"Sigstore did not sign: {str(error).splitlines()[0] if str(error) else error!r}",
            where="--keyless",
            why="a keyless signature needs the network: Sigstore vouches for who you are",
            mend="sign with a key of your own: --sign-with FILE (`chorus key new FILE`)",
        ) from error


def check_signature(
    raw: bytes | None,
    files: Mapping[str, str],
    keys: Sequence[PublicKey],
    signed_by: str,
    signed_on: str,
) -> Signed:
    """What the signature of a release proves.

    Args:
        raw: The bytes of `model.sig`; None where it is missing.
        files: SHA-256 of every other file, by path.
        keys: The keys that are trusted, or once were.
        signed_by: Whose signature the statement announces; empty for nobody's.
        signed_on: The day that the statement names.
    """
    if raw is None:
        said = f"{FILE} is missing, and the statement says that {_short(signed_by)} signed it"
        return Signed("broken", said) if signed_by else Signed("unsigned", "nobody signed it")
    bundle = read_envelope(raw)
    material = bundle.get("verificationMaterial") if bundle else None
    envelope = bundle.get("dsseEnvelope") if bundle else None
    if not isinstance(material, dict) or not isinstance(envelope, dict):
        return Signed("broken", f"{FILE} is no signature")
    if signed_by == SIGSTORE and "publicKey" not in material:
        return Signed("unsigned", f"an identity signed it; {_KEYLESS}", fingerprint=SIGSTORE)
    hint = material.get("publicKey")
    named = str(hint.get("hint")) if isinstance(hint, dict) else ""
    found = check(envelope, named, keys)
    if found.state in ("broken", "unsigned") or found.payload is None:
        return Signed("broken", f"{FILE} does not hold", fingerprint=named)
    if findings := tuple(_unlike(found.payload, files)):
        return Signed("broken", "what was signed is not what lies here", findings, named)
    return _by_whom(found, signed_by, signed_on)


def _by_whom(found: Checked, signed_by: str, signed_on: str) -> Signed:
    """Whether the key of a signature that holds is one that counts."""
    named = found.named
    if signed_by != named:
        announced = _short(signed_by) if signed_by else "nobody"
        said = f"{_short(named)} signed it, and the statement names {announced}"
        return Signed("broken", said, fingerprint=named)
    if found.key is None:
        said = f"signed with a key that is not trusted here ({_short(named)})"
        return Signed("unsigned", said, fingerprint=named)
    if doubt := found.key.doubt(signed_on):
        return Signed("unsigned", doubt, fingerprint=named)
    return Signed("verified", f"signed by {found.key.name}", fingerprint=named)


_KEYLESS = "name whose by --identity and --issuer, with the network"


def check_keyless(folder: Path, identity: Identity) -> Signed:
    """What a keyless signature proves; needs the network for the roots of trust."""
    from model_signing import verifying
    from sigstore.errors import Error as SigstoreError
    from tuf.api.exceptions import DownloadError, RepositoryError

    try:
        verifying.Config().use_sigstore_verifier(
            identity=identity.name, oidc_issuer=identity.issuer
        ).verify(folder, folder / FILE)
    except (OSError, DownloadError, RepositoryError) as error:
        raise ChorusError(
            f"Sigstore's roots of trust cannot be reached: {error!r}",
            where=str(folder),
            why="without them nobody can tell whose a keyless signature is",
            mend="run it again with the network",
        ) from error
    except (ValueError, SigstoreError) as error:
        return Signed("broken", f"it does not hold: {error}", fingerprint=SIGSTORE)
    return Signed("verified", f"signed by {identity.name}", fingerprint=SIGSTORE)


def _unlike(payload: Mapping[str, Any], files: Mapping[str, str]) -> Iterator[str]:
    """Files that are not as they were signed."""
    predicate = payload.get("predicate")
    if payload.get("predicateType") != _PREDICATE or not isinstance(predicate, dict):
        yield f"{FILE} signs something else than a model"
        return
    listed = predicate.get("resources")
    signed = {
        str(one.get("name")): str(one.get("digest"))
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, dict) and one.get("algorithm") == "sha256"
    }
    yield from (f"{path} was added" for path in files if path not in signed)
    yield from (f"{path} was removed" for path in signed if path not in files)
    yield from (
        f"{path} is not as it was signed"
        for path, digest in signed.items()
        if path in files and files[path] != digest
    )


def _short(fingerprint: str) -> str:
    return fingerprint if len(fingerprint) < len("sha256") * 2 else f"key {fingerprint[:12]}"
