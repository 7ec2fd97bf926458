"""The edit key, with which a steward opens the accepted content of their profile in the form.

It signs nothing: the key that a steward signs with is another (`registry.signing`). Content held by
consent is shown to nobody else. An edit key belongs to one submission: it opens a profile while the
revision that was submitted with it stands, and no longer. Only its SHA-256 is kept, under
`.chorus/keys/`, outside Git, in a file named by the digest of the submission's event.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from registry.artifact import write_atomically
from registry.errors import UsageError
from registry.profile_folder import Profile

FOLDER = Path(".chorus") / "keys"
LONGEST = 200
"""Characters of a key that are looked at."""


def new_key() -> str:
    """A key that nobody can guess: 256 random bits."""
    return secrets.token_hex(32)


def keep(root: Path, event: str, key: str) -> None:
    """Keeps the digest of the key for a submission; the one before it opens nothing any more."""
    write_atomically(root / FOLDER / event, _digest(key).encode())


def opens(root: Path, profile: Profile, key: str) -> bool:
    """Whether a key is that of the submission by which a profile's revision came in."""
    event = submission(profile)
    if event is None or not key or len(key) > LONGEST:
        return False
    path = root / FOLDER / event
    kept = path.read_text() if path.is_file() else ""
    return hmac.compare_digest(_digest(key), kept)


def renew(root: Path, profile: Profile) -> str:
    """A new key for a profile; raises UsageError where its revision was never submitted."""
    event = submission(profile)
    if event is None:
        raise UsageError(
            f"revision {profile.profile.revision} was never submitted",
            where=profile.id,
            mend=f"submit it first: chorus profile submit {profile.id}",
        )
    key = new_key()
    keep(root, event, key)
    return key


def submission(profile: Profile) -> str | None:
    """The digest of the event by which a profile's revision was last submitted."""
    found = [
        happened.sha256
        for happened in profile.life.events
        if happened.event.event == "submitted"
        and happened.event.revision == profile.profile.revision
    ]
    return found[-1] if found else None


def _digest(key: str) -> str:
    return hashlib.sha256(key.strip().encode(errors="replace")).hexdigest()
