"""SFT, GRPO and RLP on a GPU, in bfloat16: `make gpu-check`.

Each takes a few steps on the embedded model, in a process of its own, as the registry would run
it. Device, speed and peak memory are printed, and written to docs/results.md. Without a GPU nothing
is run; with `--cpu` the same runs on the processor, and is printed only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gradients import make_proxy, tasks
from registry.child import environment

RESULTS = Path("docs/results.md")
BEGIN, END = "<!-- gpu-check begins -->", "<!-- gpu-check ends -->"
HEAD = (
    "| method | runs on | seconds a step | tokens a second | peak memory | loss |\n"
    "|---|---|---|---|---|---|"
)
NO_GPU = (
    f"this machine has no GPU that torch can use: nothing was run, and {RESULTS} is as it was\n"
    "`python -m benchmarks.gpu_check --cpu` runs the same on the processor, and prints it only"
)


@dataclass(frozen=True)
class Measured:
    """What a few steps of one method took."""

    method: str
    runs_on: str
    seconds: float
    """A step, the first left out."""
    tokens: float
    """Learned from in a step: whole rows for SFT, answers for GRPO, thoughts for RLP."""
    memory: float
    """GiB: of the GPU where there is one, else of the process."""
    first: float
    last: float

    @property
    def row(self) -> str:
        """As a row of the table."""
        return (
            f"| {self.method} | {self.runs_on} | {self.seconds:.2f} | "
            f"{self.tokens / self.seconds:,.1f} | {self.memory:.1f} GiB | "
            f"{self.first:.4f} to {self.last:.4f} |"
        )


def write_data(folder: Path, count: int) -> Path:
    """Short tasks as rows."""
    from assets.rows import ROWS, row_id, row_schema, write_rows

    rows = [
        dict.fromkeys(row_schema())
        | {"row_id": row_id("gpu-check", [prompt, answer]), "parents": [], "source": "gpu-check"}
        | {"prompt": prompt, "completion": answer}
        for prompt, answer in tasks(count)
    ]
    data = folder / "data"
    data.mkdir(exist_ok=True)
    write_rows(data / ROWS, rows, row_schema())
    return data


def plans(steps: int, *, small: bool) -> dict[str, tuple[dict[str, Any], str]]:
    """The parameters of each method, and its role for rows; few and short ones for a processor."""
    size, tokens = (2, 8) if small else (8, 64)
    shared = {"steps": steps, "checkpoint_every": 0}
    return {
        "sft": (shared | {"batch_size": 2 * size}, "data"),
        "grpo": (
            shared
            | {"prompts": size, "group_size": 4, "sampling": {"max_new_tokens": tokens}}
            | {"rewards": [{"kind": "diversity"}, {"kind": "length", "free": 1, "most": tokens}]},
            "tasks",
        ),
        "rlp": (shared | {"prefixes": size, "thoughts": 4, "thought_tokens": tokens}, "data"),
    }


def tokens_of(method: str, out: Path, context: Any) -> float:
    """Tokens that a step learned from, in the mean."""
    import polars

    curves = polars.read_parquet(out / "curves.parquet")
    params = context.params
    if method == "grpo":
        return float(curves["answer_tokens"].mean()) * params.prompts * params.group_size  # type: ignore[arg-type]
    if method == "rlp":
        return float(curves["thought_tokens"].mean()) * params.prefixes * params.thoughts  # type: ignore[arg-type]
    from transformers import AutoTokenizer

    from assets.alignment.sft import sort_out
    from assets.alignment.spread import order_of
    from assets.rows import ROWS, read_rows

    tokenizer = AutoTokenizer.from_pretrained(context.input("base").files)
    rows = read_rows(context.input("data").files / ROWS).to_dicts()
    taken, _ = sort_out(tokenizer, rows, params.longest, chat=params.chat_template)
    order = order_of(len(taken), params.steps * params.batch_size, context.seed)
    return sum(len(taken[place].ids) for place in order) / params.steps


def measure(name: str, folder: Path, steps: int, device: str) -> Measured:
    """Runs one method in this process."""
    import polars
    import torch

    from registry.context import Context, Input
    from registry.method import load_method
    from registry.ran import Ran

    params, role = plans(steps, small=device == "cpu")[name]
    method = load_method(name)
    out, work = folder / name, folder / f"{name}-work"
    out.mkdir()
    work.mkdir()
    with (folder / f"{name}.jsonl").open("w+") as events:
        context = Context(
            node=name, community=None, params=method.params.model_validate(params), seed=0,
            device=device, threads=int(os.environ["OMP_NUM_THREADS"]), out=out, work=work,
            root=Path(), profiles=(), events=events, said=folder / f"{name}.ran",
            roles={
                "base": (Input("base", None, folder / "proxy"),),
                role: (Input("rows", None, folder / "data"),),
            },
        )  # fmt: skip
        method.run(context)
        events.seek(0)
        times = [json.loads(line)["time"] for line in events]
    losses = polars.read_parquet(out / "curves.parquet")["loss"]
    on_gpu = device == "cuda"
    memory = (
        torch.cuda.max_memory_allocated()
        if on_gpu
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    ran = Ran.model_validate_json((folder / f"{name}.ran").read_bytes())
    return Measured(
        name, str(ran), (times[-1] - times[0]) / (len(times) - 1),
        tokens_of(name, out, context), memory / 2**30, losses[0], losses[-1],
    )  # fmt: skip


def write_results(table: str, path: Path = RESULTS) -> None:
    """Puts a table between the marks of the page; raises where they are gone."""
    text = path.read_text(encoding="utf-8")
    pattern = re.compile(f"{BEGIN}.*?{END}", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise SystemExit(f"{path} lacks the marks `{BEGIN}` and `{END}`")
    said = f"{BEGIN}\n{table}\n{END}"
    path.write_text(pattern.sub(lambda _: said, text), encoding="utf-8")


def run_all(steps: int, device: str, show: Callable[[str], None]) -> str:
    """Runs each method in a process of its own; returns the table."""
    from importlib.metadata import version

    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    request = {"threads": threads, "network": False, "device": device, "processes": 1}
    lines = []
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as place:
        folder = Path(place)
        make_proxy(folder)
        write_data(folder, 60)
        for name in plans(steps, small=device == "cpu"):
            show(f"{name}: {steps} steps")
            command = [sys.executable, "-m", "benchmarks.gpu_check", "--only", name]
            command += ["--folder", place, "--steps", str(steps), "--device", device]
            env = environment(request, os.environ) | {"PYTHONWARNINGS": "ignore"}
            subprocess.run(command, check=True, env=env, stdout=sys.stderr)
            said = json.loads((folder / f"{name}.json").read_bytes())
            lines.append(Measured(**said).row)
    used = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "trl"))
    return "\n".join([HEAD, *lines, "", f"{steps} steps each, with {used}."])


def main() -> int:
    """Checks, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cpu", action="store_true", help="on the processor; prints only")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--device", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.steps < 2:
        parser.error("--steps: the first is not timed, so take 2 or more")
    if given.only:
        measured = measure(given.only, given.folder, given.steps, given.device)
        (given.folder / f"{given.only}.json").write_text(json.dumps(vars(measured)))
        return 0
    os.environ.setdefault("TQDM_DISABLE", "1")
    import torch

    if not given.cpu and not torch.cuda.is_available():
        print(NO_GPU)
        return 1
    table = run_all(given.steps, "cpu" if given.cpu else "cuda", print)
    print(table)
    if not given.cpu:
        write_results(table)
        print(f"written to {RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
