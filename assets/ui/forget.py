"""Removes what Dagster keeps of an artifact that was erased: metadata, previews and runs."""

from __future__ import annotations

from pathlib import Path


def forget(root: Path, node: str) -> None:
    """Wipes an asset's events, and the runs of its community.

    Dagster's local storage cannot wipe one partition alone. So all of the asset's events go, and
    the sensor reports again what is still there.
    """
    home = root / ".chorus" / "dagster"
    if not (home / "dagster.yaml").is_file():
        return
    from dagster import AssetKey, DagsterInstance, RunsFilter

    name, _, community = node.partition("@")
    with DagsterInstance.from_config(str(home)) as instance:
        instance.wipe_assets([AssetKey(name)])
        mine = RunsFilter(tags={"dagster/partition": community})
        for run in instance.get_runs(mine) if community else ():
            instance.delete_run(run.run_id)
