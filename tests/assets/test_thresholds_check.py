"""Dagster: a community's own model that falls short fails a blocking check, once it is measured."""

from __future__ import annotations

import pytest

from tests.assets.test_definitions import OLD, YOUNG, Ui, ui  # noqa: F401 - a fixture
from tests.registry.test_thresholds import BEAT, WON, comparison, demand, score

dg = pytest.importorskip("dagster")

pytestmark = pytest.mark.filterwarnings("ignore::Warning")
CHECK = "it_reaches_what_its_community_demands_of_a_release"


def severities(ui: Ui) -> dict[str, tuple[bool, str]]:  # noqa: F811
    """The latest outcome for each partition of the model, and how grave it is."""
    key = dg.AssetCheckKey(dg.AssetKey("count"), CHECK)
    history = ui.instance.event_log_storage.get_asset_check_execution_history(key, 100)
    said = [r.evaluation for r in reversed(history) if r.evaluation]
    return {one.partition: (one.passed, one.severity.value) for one in said}


def test_it_warns_before_it_is_measured_then_fails_or_passes_and_is_told_once(
    ui: Ui,  # noqa: F811
) -> None:
    graph = ui.defs.get_repository_def().asset_graph
    blocking = {k.asset_key.path[0] for k in graph.asset_check_keys if k.name == CHECK}
    assert blocking == {"count"}
    demand(ui.toy, BEAT)
    score(ui.toy, [WON[0], comparison("total", 0.01)])
    ui.report()
    assert severities(ui) == {YOUNG: (False, "ERROR"), OLD: (False, "WARN")}
    assert "against total" in ui.checks(CHECK)[f"count@{YOUNG}"][CHECK][1]
    assert ui.report() == ""
    result = ui.materialise("count", YOUNG)
    assert [e.passed for e in result.get_asset_check_evaluations() if e.check_name == CHECK] == [
        False
    ]
    score(ui.toy, WON)
    assert f"reached: count@{YOUNG}" in ui.report()
    assert severities(ui)[YOUNG] == (True, "WARN")
