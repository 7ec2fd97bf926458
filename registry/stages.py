"""What becomes of a release: `promote`, `deprecate`, `retire`, each with who, why and when.

The stages are tags that GTO writes. A release is promoted only where what had to be so when it was
made is so today; it can be deprecated or retired at any time, since that only warns people off.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from registry import git
from registry.artifact import one_at_a_time
from registry.consent import today
from registry.errors import ExitCode, UsageError, relative
from registry.graph import Graph
from registry.notices import add_notice
from registry.release import Name, read_statement
from registry.release_checklist import Check
from registry.release_proof import verify_release
from registry.release_tags import (
    PROMOTIONS,
    Promotion,
    Stage,
    Standing,
    give_stage,
    standings,
    take_stage,
)
from registry.release_terms import terms

_SENTENCES = {
    "candidate": "is a candidate: it is being tried",
    "production": "is in production: it is the one to rely on",
    "deprecated": "is no longer advised",
    "retired": "is no longer to be used",
}
_BAD = {"broken": ExitCode.INTEGRITY, "erased": ExitCode.REFUSED, "ended": ExitCode.REFUSED}


def promotion_checks(graph: Graph, name: Name, stage: Promotion) -> list[Check]:
    """What must be so before a release is promoted, each with what is wrong."""
    root = graph.project.root
    statement, _ = read_statement(root, name)
    found = verify_release(graph, name)
    bad = [hop for hop in found.hops if hop.state in _BAD]
    said = "; ".join(finding for hop in bad for finding in hop.findings)
    unsigned = [f for hop in found.hops if hop.state == "unsigned" for f in hop.findings]
    held = standings(root).get(name.tag, Standing()).stages
    checks = [
        Check(
            "every byte is what the records say, and every permission holds",
            said,
            max((_BAD[hop.state] for hop in bad), default=ExitCode.OK),
        ),
        Check(
            "a key that this project trusts signed it",
            "; ".join(unsigned) if stage == "production" else "",
        ),
        Check(
            "it is neither deprecated nor retired",
            f"it is {held[0]}" if held and held[0] in ("deprecated", "retired") else "",
            ExitCode.REFUSED,
        ),
    ]
    node = graph.nodes.get(statement.node)
    for community in graph.permissions(node) if node else ():
        profile = graph.project.profiles[community]
        asked = terms(profile, name.name, name.version, statement.content, today())
        checks += [Check(term.sentence, term.problem, ExitCode.REFUSED) for term in asked]
    return checks


def set_stage(root: Path, name: Name, stage: Stage, by: Sequence[str], reason: str) -> list[str]:
    """Gives a release a stage; where it warns people off, the card says so too.

    Returns:
        What was done, a sentence each.
    """
    _require_word(by, reason)
    read_statement(root, name)
    done = []
    with one_at_a_time(root, "release"):
        held = standings(root).get(name.tag, Standing()).stages
        if held[:1] == (stage,):
            raise UsageError(
                f"{name.tag} {_SENTENCES[stage]} already", mend="see `chorus releases`"
            )
        card = name.card(root)
        if stage in ("deprecated", "retired") and card.is_file():
            said = f"{name} {_SENTENCES[stage]}, since {today().isoformat()}: {reason}"
            add_notice(card, said, retired=stage == "retired")
            commit = git.commit_files(root, [relative(card, root)], f"{name.tag} is {stage}")
            done.append(f"wrote that on its card{f', committed as {commit}' if commit else ''}")
            for promotion in (one for one in PROMOTIONS if one in held):
                take_stage(root, name, promotion, f"{stage}: {reason}")
        give_stage(root, name, stage, f"{reason} (by {', '.join(by)})")
    return [*done, f"{name.tag} {_SENTENCES[stage]}"]


def unset_stage(root: Path, name: Name, stage: Stage, by: Sequence[str], reason: str) -> None:
    """Takes a stage from a release."""
    _require_word(by, reason)
    with one_at_a_time(root, "release"):
        held = standings(root).get(name.tag, Standing()).stages
        if stage not in held:
            shown = ", ".join(held) or "none"
            raise UsageError(f"{name.tag} is not {stage}", mend=f"its stages: {shown}")
        take_stage(root, name, stage, f"{reason} (by {', '.join(by)})")


def _require_word(by: Sequence[str], reason: str) -> None:
    """A tag's subject is one line, and says who and why."""
    if not by or not reason.strip() or len(reason.splitlines()) > 1:
        raise UsageError("say who decides and why, in one line", mend="add --by and --reason")
