"""Changing a profile that is accepted: a draft that starts with what stands, as far as it is shown.

`profile.yaml` lies in Git and fills the form for anybody. The tables hold a community's own words,
by consent: they are shown only to the holder of the edit key from the last receipt. Everybody else
hands in tables of their own, and reviewers are told that no key was shown.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from registry.artifact import write_atomically
from registry.declaration import SLUG
from registry.errors import UsageError
from registry.message import Message
from registry.profile_content import ACCEPTED
from registry.profile_desk import digest_of_yaml
from registry.profile_folder import Profile, read_profile
from registry.profile_keys import opens
from registry.site.drafts import Base, Draft, Drafts, State
from registry.site.fields import FILES
from registry.site.findings import standing
from registry.site.opening import Taking, open_profile, sheet_of, take_sheet
from registry.site.uploads import UploadRefusedError

_MADE = ("schema_version", "revision", "supersedes")
"""Keys that the form writes itself."""


def accepted(root: Path, name: str) -> Profile:
    """An accepted profile that the form can change; raises UsageError where there is none."""
    folder = root / ACCEPTED / name
    if not SLUG.fullmatch(name) or folder.is_symlink() or not folder.is_dir():
        raise UsageError(
            Message("no profile of this id stands here"),
            mend=Message("look at the id on your receipt, or on a model's card"),
        )
    profile, _ = read_profile(folder, root)
    if profile is None or profile.stage == "withdrawn":
        raise UsageError(
            Message("this profile cannot be changed any more, or cannot be read"),
            mend=Message("ask a maintainer"),
        )
    if not profile.profile.described_by_itself or profile.profile.permission == "licence":
        raise UsageError(
            Message("this profile was not written by a community itself"),
            mend=Message(
                "ask a maintainer; a community can describe itself in a profile of its own"
            ),
        )
    return profile


def begin(root: Path, drafts: Drafts, draft: Draft, name: str, key: str) -> Draft:
    """Fills a draft from the accepted revision; raises UsageError where that cannot be.

    A key that does not fit is refused, so that nobody takes a form without tables for the whole.
    """
    profile = accepted(root, name)
    opened = opens(root, profile, key)
    if key and not opened:
        raise UsageError(
            Message("this edit key does not open this profile"),
            mend=Message(
                "copy it from the receipt of the revision that stands, leave it empty, or ask a "
                "maintainer for a new one"
            ),
        )
    base = Base(
        id=profile.id,
        revision=profile.profile.revision,
        sha256=digest_of_yaml(profile.folder),
        opened=opened,
    )
    if waiting := next(standing(root, profile.id, base), None):
        raise UsageError(waiting.what, mend=waiting.mend)
    taking = Taking()
    try:
        open_profile(taking, (profile.folder / "profile.yaml").read_bytes())
        for table, shape in FILES.items():
            path = profile.table(shape.file)
            if opened and path.is_file():
                take_sheet(taking, table, sheet_of(path.read_bytes(), table))
    except UploadRefusedError as error:
        first = error.findings[0]
        raise UsageError(first.what, mend=first.mend) from None
    state = State(
        base=base,
        fields=taking.fields,
        rows=taking.rows,
        carried={name: value for name, value in taking.carried.items() if name not in _MADE},
        shifted=tuple(sorted(taking.shifted)),
    )
    begun = replace(draft, state=state)
    drafts.save(begun)
    for table, content in taking.tables.items():
        if content is not None:
            write_atomically(begun.table(table), content)
    return begun
