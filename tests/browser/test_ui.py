"""The UI as a team sees it: find, materialise, read, break, and be told what went wrong and why."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.browser.browsing import DIALOG, Browser, Served, serve, until, why_not
from tests.conftest import Folder, main_job

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not() or "none")]

YOUNG, OLD = "age-22-34", "age-65-plus"
MODEL = f"community-sft@{YOUNG}"
UNCHANGED = "nothing_that_it_was_made_from_has_changed"
TOO_FEW = "Fewer_rows_than_ten_items_in_three_wordings_and_two_orders_teach_nothing"
CHECKS = """{ assetNodes { assetKey { path }
  assetChecksOrError { ... on AssetChecks { checks { name
    executionForLatestMaterialization { status }
    partitionStatuses { ... on AssetCheckDefaultPartitionStatuses {
      succeededPartitions failedPartitions } }
  } } } } }"""
RUNS = "{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }"


@dataclass(frozen=True)
class Team:
    """A project, its UI, and where pictures go."""

    project: Folder
    served: Served
    pictures: Path

    def browser(self) -> Browser:
        return Browser(self.served.url, self.pictures)

    def outcomes(self, check: str) -> dict[str, bool]:
        """Which nodes pass a check, as the UI has it."""
        found = {}
        for asset in self.served.ask(CHECKS)["assetNodes"]:
            name = asset["assetKey"]["path"][0]
            for one in asset["assetChecksOrError"].get("checks", ()):
                if one["name"] != check:
                    continue
                if each := one["partitionStatuses"]:
                    found |= {f"{name}@{p}": True for p in each["succeededPartitions"]}
                    found |= {f"{name}@{p}": False for p in each["failedPartitions"]}
                elif latest := one["executionForLatestMaterialization"]:
                    found[name] = latest["status"] == "SUCCEEDED"
        return found

    def runs(self) -> list[dict[str, Any]]:
        """What was launched in the UI, latest first."""
        runs = self.served.ask(RUNS)["runsOrError"]["results"]
        return [run for run in runs if any(t["key"] == "dagster/partition" for t in run["tags"])]

    def ended(self, number: int) -> list[str]:
        """Waits until so many launched runs are over; how they ended, oldest first."""
        over = {"SUCCESS", "FAILURE", "CANCELED"}
        ended = until(
            lambda: [r["status"] for r in self.runs() if r["status"] in over],
            lambda found: len(found) >= number,
            f"{number} runs did not end",
        )
        return list(reversed(ended))

    def forget(self, node: str) -> None:
        """Loses an artifact, so that there is something to make."""
        shutil.rmtree(self.project.root / "data" / node.replace("@", "/"))

    def made(self, node: str) -> list[str]:
        """How the attempts to make a node ended."""
        runs = self.project.chorus("runs", node, "--json").json["runs"]
        return [run["outcome"] for run in runs]


@pytest.fixture
def team(tiny: Folder, tmp_path: Path) -> Iterator[Team]:
    pictures = Path(os.environ.get("CHORUS_SCREENSHOTS") or tmp_path)
    with serve(tiny.root, tiny.env, tmp_path / "ui.log") as served:
        yield Team(tiny, served, pictures)


@pytest.fixture
def browser(team: Team) -> Iterator[Browser]:
    opened = team.browser()
    yield opened
    opened.close()


def materialise(browser: Browser, community: str) -> None:
    """Launches what the page shows for one community, in the dialog that its button opens."""
    browser.open("Materialize", DIALOG)
    browser.click("Select a partition", within=DIALOG)
    browser.click(community, within="//*[@title]")
    browser.picture("launching")
    browser.click("Launch 1 run", within=DIALOG)


def test_a_team_finds_makes_and_reads_a_community_s_model(team: Team, browser: Browser) -> None:
    team.forget(MODEL)
    browser.go("/assets/community-sft")
    browser.see("One model for each group")
    materialise(browser, YOUNG)
    assert team.ended(1) == ["SUCCESS"]
    browser.go("/runs")
    browser.see(f"partition: {YOUNG}")
    browser.picture("runs")
    browser.go(f"/assets/community-sft?view=partitions&partition={YOUNG}")
    browser.see("Materialized")
    browser.see("last loss")
    assert "made" in browser.see("result").find_element("xpath", "ancestor::tr").text
    browser.picture("made")
    browser.click("Show Markdown")
    assert browser.image_width() > 300
    browser.picture("loss-curve")
    browser.go(f"/assets/community-sft?view=checks&checkDetail={UNCHANGED}")
    browser.see("non-blocking")
    browser.picture("checks")
    wanted = dict.fromkeys(main_job(team.project), True)
    until(lambda: team.outcomes(UNCHANGED), lambda found: found == wanted, "something is stale")
    browser.go("/assets/opinion-items")
    browser.see("row_id")
    browser.picture("opinion-items")
    assert team.project.states()[MODEL] == "current"


def test_a_changed_profile_shows_exactly_its_descendants(team: Team, browser: Browser) -> None:
    team.project.edit(f"value_profiles/{YOUNG}/opinions.csv", ",640,", ",641,")
    states = team.project.states()
    stale = {node for node, state in states.items() if state == "stale"}
    assert {MODEL, f"opinion-items@{YOUNG}", "pooled-sft", "pluralism"} <= stale
    assert not {"questionnaire", f"community-sft@{OLD}", f"opinion-items@{OLD}"} & stale
    told = until(
        lambda: {node for node, passed in team.outcomes(UNCHANGED).items() if not passed},
        lambda found: found == stale,
        f"the checks did not name {sorted(stale)}",
    )
    assert told == stale
    browser.go(f"/assets/opinion-items?view=partitions&partition={YOUNG}")
    browser.see("Unsynced")
    browser.picture("unsynced")
    browser.go(f"/assets/community-sft?view=checks&checkDetail={UNCHANGED}")
    browser.see(f"input opinion-items@{YOUNG} is stale")
    browser.picture("stale-check")
    browser.click("Partitions", within="//button[@role='tab']/..")
    browser.see("Failed (1)")
    browser.see("Passed (1)")
    browser.picture("stale-check-partitions")
    browser.go(f"/assets/opinion-items?view=checks&checkDetail={UNCHANGED}")
    browser.see(f"value_profiles/{YOUNG}/opinions.csv changed")


def test_a_broken_contract_stops_the_model_that_would_learn_from_it(
    team: Team, browser: Browser
) -> None:
    before = team.project.snapshot()
    team.project.edit("registry/datasets/opinion-items.yaml", "min_value: 60", "min_value: 6000")
    browser.go("/asset-groups/opinion-items,community-sft")
    browser.see("Materialize selected (2)")
    browser.picture("two-assets")
    materialise(browser, YOUNG)
    assert team.ended(1) == ["FAILURE"]
    browser.go(f"/runs/{team.runs()[0]['runId']}")
    browser.see("Fewer rows than ten items")
    browser.picture("failed-run")
    browser.go(f"/assets/opinion-items?view=checks&checkDetail={TOO_FEW}")
    browser.see("rows that break it")
    browser.picture("failed-check")
    broken = team.outcomes(TOO_FEW)
    assert broken == {f"opinion-items@{YOUNG}": False, f"opinion-items@{OLD}": True}
    assert team.made(MODEL) == ["made"]
    assert team.project.snapshot() == before


def test_two_people_make_the_same_model_at_once(team: Team, browser: Browser) -> None:
    team.forget(MODEL)
    other = team.browser()
    try:
        for person in (browser, other):
            person.go("/assets/community-sft")
            materialise(person, YOUNG)
        assert team.ended(2) == ["SUCCESS", "SUCCESS"]
        other.go(f"/assets/community-sft?view=partitions&partition={YOUNG}")
        assert "current" in other.see("result").find_element("xpath", "ancestor::tr").text
        other.picture("second-person")
    finally:
        other.close()
    assert team.made(MODEL) == ["made", "made"]
    assert team.project.states()[MODEL] == "current"
