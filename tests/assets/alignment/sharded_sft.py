"""SFT by one of two CPU processes whose weights are shared out: run by `test_spread`.

accelerate shares weights out on GPUs only. Here it is told that gloo between CPUs is such a thing,
so that all other code is that of a GPU: torch's FSDP, its checkpoints, and our gathering.
"""

import json
import os
import sys
from pathlib import Path

import accelerate.state
from accelerate.utils import DistributedType

from assets.alignment import sft
from registry.context import Context, Input


def main(process: int, folder: Path, base: Path, data: Path, params: dict) -> None:
    seat = {"RANK": process, "LOCAL_RANK": process, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    os.environ.update({name: str(value) for name, value in seat.items()})
    if params["sharding"] == "fsdp":
        os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
        accelerate.state.PartialState._prepare_backend = lambda *_, **__: (
            "gloo", DistributedType.MULTI_GPU,
        )  # fmt: skip
    out = folder / f"files-{process}"
    out.mkdir(exist_ok=True)
    sft.run(
        Context(
            node="sharded", community=None, params=sft.Params.model_validate(params), seed=0,
            device="cpu", threads=1, out=out, work=folder, root=folder,
            roles={"base": (Input("base", None, base),), "data": (Input("data", None, data),)},
            profiles=(), process=process, processes=2,
            meeting=folder / f"meeting-{params['steps']}",
        )
    )  # fmt: skip


if __name__ == "__main__":
    number, *folders, given = sys.argv[1:]
    main(int(number), *(Path(one) for one in folders), json.loads(given))
