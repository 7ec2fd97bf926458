"""Uploads, read as strangers' files are: by content, within limits, never by a name of theirs.

A whole profile is a `profile.yaml`, or a zip of a profile folder. Nothing is ever unpacked: members
are read one by one into memory, and kept under names of our own. Tables are read in `sheets`.
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from registry.errors import Problem
from registry.message import Message
from registry.profile_folder import CONTENT
from registry.profile_tables import MAX_BYTES
from registry.site.drafts import Finding
from registry.site.fields import FILES, FOLDER
from registry.strict_yaml import MAX_BYTES as MAX_YAML

MAX_MEMBERS = 64
MAX_TOTAL = 64 * 1024 * 1024
"""Bytes of all members of an archive, unpacked."""
MAX_RATIO = 100
"""How many times larger than the archive its members may be, once they are past a few megabytes."""
_FREE = 4 * 1024 * 1024
_CHUNK = 64 * 1024
_DIRECTORY = 64 * 1024
"""Bytes of an archive's list of members."""
_LEFT_BY_SYSTEMS = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
_SHOWN = 60
PROFILE = "profile.yaml"
_AGAIN = Message("pack the folder again")
_TOO_MANY = Message("holds more than {count} files", count=MAX_MEMBERS)


class UploadRefusedError(Exception):
    """An upload that is not taken, and what to show for it."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("; ".join(finding.what for finding in findings))
        self.findings = tuple(findings)


def refused(field: str, what: Message, mend: str) -> UploadRefusedError:
    """The error for an upload that is not taken."""
    finding = Finding(field=field, what=what, mend=Message.of(mend), lead="lead.not-taken")
    return UploadRefusedError([finding])


def finding_of(field: str, problem: Problem) -> Finding:
    """What the checker says of an upload that is not taken."""
    return Finding(
        field=field,
        what=Message.of(problem.what),
        mend=Message.of(problem.mend),
        line=problem.place.line,
        lead="lead.not-taken",
    )


def read_whole(stream: IO[bytes], field: str, limit: int = MAX_BYTES) -> bytes:
    """An upload's bytes; refused where they are more than a table may have."""
    raw = stream.read(limit + 1)
    if len(raw) > limit:
        what = Message("is larger than {count:,} KiB", count=limit // 1024)
        raise refused(field, what, Message("split it, or shorten it"))
    return raw


def digest_of(stream: IO[bytes], field: str) -> str:
    """SHA-256 of an upload that is not kept."""
    return hashlib.sha256(read_whole(stream, field)).hexdigest()


def shown(name: str) -> str:
    """A stranger's name as a message may print it."""
    plain = "".join(c if c.isprintable() else "\ufffd" for c in name)
    return repr(plain if len(plain) <= _SHOWN else plain[: _SHOWN - 1] + "\u2026")


@dataclass(frozen=True)
class Folder:
    """An uploaded profile folder: its `profile.yaml`, and its tables by the form's names."""

    profile: bytes | None
    tables: dict[str, bytes]


def read_folder(stream: IO[bytes]) -> Folder:
    """A `profile.yaml`, or a zip of a profile folder; raises UploadRefusedError for other files."""
    start = stream.read(512)
    stream.seek(0)
    if start[:2] != b"PK":
        if start[:2] == b"\x1f\x8b" or start[257:262] == b"ustar" or b"\0" in start:
            what = Message("is neither a zip nor a `profile.yaml`")
            raise refused(FOLDER, what, Message("pack the folder as a zip"))
        return Folder(read_whole(stream, FOLDER, MAX_YAML), {})
    _require_short_directory(stream)
    try:
        with zipfile.ZipFile(stream) as archive:
            return _members(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        what = Message("is a damaged zip: {reason}", reason=shown(str(error)))
        raise refused(FOLDER, what, _AGAIN) from None


def _require_short_directory(stream: IO[bytes]) -> None:
    """Refuses a list of members that would fill the memory before any of them is looked at.

    A zip ends with 22 bytes that say how long the list is. Where a comment or the 64-bit form hides
    them, the archive is refused: a handful of tables needs neither.
    """
    end, sign, long_sign = 22, b"PK\x05\x06", b"PK\x06\x07"
    size = stream.seek(0, 2)
    stream.seek(max(size - end - 20, 0))
    tail = stream.read()
    stream.seek(0)
    found = tail[-end:]
    if not found.startswith(sign) or found[-2:] != b"\0\0" or tail.startswith(long_sign):
        raise refused(FOLDER, Message("is a zip of a kind that is not read"), _AGAIN)
    if int.from_bytes(found[12:16], "little") > _DIRECTORY:
        raise refused(FOLDER, _TOO_MANY, Message("pack the profile folder only"))


def _members(archive: zipfile.ZipFile) -> Folder:
    members = [info for info in archive.infolist() if not _left_by_system(info.orig_filename)]
    if len(members) > MAX_MEMBERS:
        raise refused(FOLDER, _TOO_MANY, Message("pack the profile folder only"))
    packed = sum(info.compress_size for info in members)
    allowance = min(MAX_TOTAL, max(_FREE, packed * MAX_RATIO))
    found: dict[str, bytes] = {}
    wanted = _top(members)
    for info in members:
        _require_plain(info)
        if info.is_dir():
            continue
        name = wanted.get(info.orig_filename)
        if name is None or name in found:
            what = Message("holds {name}", name=shown(info.orig_filename))
            if name:
                what = Message("holds {name}, twice", name=shown(info.orig_filename))
            known = ", ".join([PROFILE, *(shape.file for shape in FILES.values())])
            mend = Message("a profile folder holds only: {names}", names=known)
            raise refused(FOLDER, what, mend)
        found[name] = _content(archive, info, allowance)
        allowance -= len(found[name])
    if not found:
        raise refused(FOLDER, Message("is empty"), Message("pack the profile folder"))
    return Folder(found.pop(PROFILE, None), found)


def _left_by_system(name: str) -> bool:
    parts = name.split("/")
    return parts[0] == _LEFT_BY_SYSTEMS[0] or parts[-1] in _LEFT_BY_SYSTEMS


def _top(members: Sequence[zipfile.ZipInfo]) -> dict[str, str]:
    """For each member that a profile may hold, the name that we give it.

    The profile may lie at the top or in one folder; what it is called plays no part.
    """
    names = [info.orig_filename for info in members]
    tops = {name.partition("/")[0] for name in names if "/" in name and not name.startswith("/")}
    inside = f"{tops.pop()}/" if len(tops) == 1 and all("/" in name for name in names) else ""
    if inside in (f"{CONTENT}/", "evaluation/", "../", "./"):
        inside = ""
    ours = {PROFILE: PROFILE}
    for name, shape in FILES.items():
        ours[shape.file] = ours[f"{CONTENT}/{shape.file}"] = name
    return {inside + path: name for path, name in ours.items()}


def _require_plain(info: zipfile.ZipInfo) -> None:
    """Refuses links, devices, encrypted members, and kinds of packing that are rarely needed."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    name = shown(info.orig_filename)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = Message("holds {name}, a link or a device", name=name)
        raise refused(FOLDER, what, Message("put the file itself there"))
    if info.flag_bits & 0x1:
        what = Message("holds {name}, which is encrypted", name=name)
        raise refused(FOLDER, what, Message("pack it without a password"))
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        what = Message("packs {name} in a rare way", name=name)
        raise refused(FOLDER, what, Message("pack the folder as an ordinary zip"))
    if ".." in info.orig_filename.split("/") or info.orig_filename.startswith(("/", "\\")):
        what = Message("holds {name}, which leads out of the folder", name=name)
        raise refused(FOLDER, what, _AGAIN)
    if "\0" in info.orig_filename:
        what = Message("holds {name}, a name with a NUL", name=name)
        raise refused(FOLDER, what, _AGAIN)


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, allowance: int) -> bytes:
    """A member's bytes, counted as they come: what its header says is not believed."""
    limit = min(allowance, MAX_BYTES)
    content = bytearray()
    with archive.open(info) as member:
        while chunk := member.read(_CHUNK):
            content += chunk
            if len(content) > limit:
                name = shown(info.orig_filename)
                what = Message("holds {name}, which unpacks to more than is read", name=name)
                mend = Message("a table has at most {count} MiB", count=MAX_BYTES // 2**20)
                raise refused(FOLDER, what, mend)
    return bytes(content)
