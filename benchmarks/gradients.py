"""Gradient engines beside a near-exact reference: `python -m benchmarks.gradients`.

The rows are short tasks of twenty generators of reasoning-gym, the proxy is the embedded model. The
reference is the full float32 gradient of each row in a sketch of 65,536 numbers. For each engine:
examples a second beside full gradients one at a time, with their projection, and Spearman's
correlation of all pairwise cosines and the G-Vendi score beside the reference's. What the sketch
alone costs is shown too, as the reference itself in fewer numbers.

The reference takes seconds a row. Whatever is done is kept in `--folder`, so that a run that was
stopped goes on; speeds are always measured anew, engine after engine on the same rows in turn.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from assets.diversity.gradients import GradientEngine

TASKS = (
    "base_conversion", "basic_arithmetic", "caesar_cipher", "calendar_arithmetic", "chain_sum",
    "family_relationships", "fraction_simplification", "gcd", "leg_counting", "letter_counting",
    "number_filtering", "number_sorting", "prime_factorization", "products", "propositional_logic",
    "simple_equations", "spell_backward", "syllogism", "time_intervals", "word_sorting",
)  # fmt: skip
NEAR_EXACT, DIMENSIONS, SKETCHES, PART = 65_536, 1024, 8, 10
SPEARMAN, SCORE, SPEED = 0.93, 0.05, 4.0
"""What an engine should reach: correlation at least, score within, times as fast at least."""


@dataclass(frozen=True)
class Setting:
    """One way to take gradients."""

    engine: str
    dtype: str
    dimensions: int
    width: int = 64

    @property
    def label(self) -> str:
        """What the table calls it."""
        width = f" {self.width} wide" if self.engine == "factored" else ""
        return f"{self.engine}{width}, {self.dtype}, to {self.dimensions:,}"


REFERENCE = Setting("full", "float32", NEAR_EXACT)
BASELINE = Setting("full", "float32", DIMENSIONS)
DEFAULT = Setting("factored", "bfloat16", DIMENSIONS)
SETTINGS = (
    BASELINE,
    Setting("full", "bfloat16", DIMENSIONS),
    Setting("factored", "bfloat16", DIMENSIONS, 16),
    DEFAULT,
    Setting("factored", "bfloat16", DIMENSIONS, 128),
    Setting("factored", "bfloat16", 2 * DIMENSIONS),
    Setting("factored", "bfloat16", NEAR_EXACT),
)


def tasks(count: int) -> list[tuple[str, str]]:
    """So many prompts and answers, the same number of each task."""
    import reasoning_gym

    each = -(-count // len(TASKS))
    drawn = [reasoning_gym.create_dataset(name, size=each, seed=0) for name in TASKS]
    rows = [(task[i]["question"], str(task[i]["answer"])) for i in range(each) for task in drawn]
    return rows[:count]


def make_proxy(folder: Path) -> Path:
    """The embedded model as its declaration makes it, saved once."""
    import yaml

    from assets.sources import local_model
    from registry.context import Context

    files = folder / "proxy"
    if not (files / "config.json").is_file():
        files.mkdir(parents=True, exist_ok=True)
        declared = yaml.safe_load(Path("registry/models/smollm2-135m.yaml").read_text())
        params = local_model.Params.model_validate(declared["params"])
        context = Context(
            node="smollm2-135m", community=None, params=params, seed=0, device="cpu", threads=1,
            out=files, work=folder, root=Path(), roles={}, profiles=(),
        )  # fmt: skip
        local_model.run(context)
    return files


def open_engine(proxy: Path, setting: Setting) -> GradientEngine:
    import torch

    from assets.compute import load_model
    from assets.diversity.gradients import GradientEngine

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    model, tokenizer = load_model(proxy, torch.device("cpu"), setting.dtype)  # type: ignore[arg-type]
    return GradientEngine(
        model, tokenizer, setting.engine, setting.dimensions, width=setting.width  # type: ignore[arg-type]
    )  # fmt: skip


def vectors_of(
    setting: Setting, proxy: Path, rows: Sequence[tuple[str, str]], folder: Path
) -> NDArray[Any]:
    """The vectors of all rows, from the folder as far as an earlier run came."""
    import numpy

    named = hashlib.sha256(json.dumps([setting.label, rows, code()]).encode()).hexdigest()[:16]
    engine, found = None, []
    step = PART if setting.engine == "full" else len(rows)
    for start in range(0, len(rows), step):
        path = folder / f"{named}-{start:05d}.npy"
        if not path.is_file():
            engine = engine or open_engine(proxy, setting)
            whole = path.with_suffix(".part")
            with whole.open("wb") as stream:
                numpy.save(stream, engine.vectors(rows[start : start + step]))
            whole.replace(path)
            print(
                f"  {setting.label}: {min(start + step, len(rows))} of {len(rows)} rows", flush=True
            )
        found.append(numpy.load(path))
    return numpy.concatenate(found)


def code() -> str:
    """The digest of the engines' code: vectors of other code are made anew."""
    digest = hashlib.sha256()
    for path in sorted(Path("assets/diversity/gradients").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def sketched(vectors: NDArray[Any], seed: int) -> NDArray[Any]:
    """Vectors of 65,536 numbers in 1,024, as the engines fold them."""
    import torch

    from assets.diversity.gradients.projection import Sketch

    fold = Sketch(DIMENSIONS, 1000 + seed, torch.device("cpu")).start(len(vectors))
    fold.add("reference", torch.from_numpy(vectors))
    return fold.result().numpy()


def cosines(vectors: NDArray[Any]) -> NDArray[Any]:
    """The cosine of every pair."""
    import numpy

    unit = vectors / numpy.linalg.norm(vectors.astype(numpy.float64), axis=1, keepdims=True)
    return (unit @ unit.T)[numpy.triu_indices(len(unit), 1)]


def score(vectors: NDArray[Any]) -> float:
    """G-Vendi, from the eigenvalues of the kernel of cosines."""
    import numpy

    unit = vectors / numpy.linalg.norm(vectors.astype(numpy.float64), axis=1, keepdims=True)
    values = numpy.linalg.eigvalsh(unit @ unit.T / len(unit))
    values = values[values > 1e-12]
    return float(numpy.exp(-(values * numpy.log(values)).sum()))


def agreement(vectors: NDArray[Any], reference: NDArray[Any]) -> tuple[float, float]:
    """Spearman's correlation of the cosines with the reference's, and the score beside its own."""
    from scipy.stats import spearmanr

    rank = spearmanr(cosines(vectors), cosines(reference)).statistic
    return float(rank), score(vectors) / score(reference) - 1


def speeds(
    proxy: Path, rows: Sequence[tuple[str, str]], rounds: int
) -> Iterator[tuple[Setting, float, float]]:
    """Examples a second of each setting: wall time, and processor time.

    Each round takes every setting in turn, so that all meet the same machine; the slow ones take
    every fifth row. The median over rounds is given.
    """
    engines = {setting: open_engine(proxy, setting) for setting in SETTINGS}
    noted: dict[Setting, list[tuple[float, float]]] = {setting: [] for setting in SETTINGS}
    for engine in engines.values():
        engine.vectors(rows[:2])
    for _ in range(rounds):
        for setting, engine in engines.items():
            given = rows[::5] if setting.engine == "full" else rows
            wall, processor = time.perf_counter(), time.process_time()
            engine.vectors(given)
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            noted[setting].append((len(given) / wall, len(given) / processor))
    for setting, found in noted.items():
        walls, processors = zip(*found, strict=True)
        yield setting, statistics.median(walls), statistics.median(processors)


def main() -> None:
    """Prints the table, and which settings reach what was asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=200, help="rows to compare on")
    parser.add_argument("--timed", type=int, default=100, help="rows to time the fast engines on")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of timing")
    kept = Path(tempfile.gettempdir()) / "chorus-gradients"
    parser.add_argument("--folder", type=Path, default=kept, help="where vectors are kept")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    proxy, rows = make_proxy(given.folder), tasks(given.rows)
    reference = vectors_of(REFERENCE, proxy, rows, given.folder)
    agreed = {
        setting: agreement(vectors_of(setting, proxy, rows, given.folder), reference)
        for setting in SETTINGS
        if setting.engine == "factored"
    }
    agreed[BASELINE] = agreement(sketched(reference, 0), reference)
    timed = {s: (w, p) for s, w, p in speeds(proxy, rows[: given.timed], given.rounds)}
    print(f"\n{len(rows)} rows, {len(TASKS)} tasks; reference: {REFERENCE.label}; "
          f"G-Vendi {score(reference):.2f}\n")  # fmt: skip
    print(
        f"{'engine':<42}{'rows/s':>8}{'times':>7}{'(processor)':>13}{'Spearman':>10}{'G-Vendi':>9}"
    )
    for setting in SETTINGS:
        wall, processor = timed[setting]
        times, work = wall / timed[BASELINE][0], processor / timed[BASELINE][1]
        line = f"{setting.label:<42}{wall:>8.2f}{times:>7.1f}{work:>13.1f}"
        if setting in agreed:
            rank, off = agreed[setting]
            reached = rank >= SPEARMAN and abs(off) <= SCORE
            mark = "all three" if reached and times >= SPEED else "agreement" if reached else ""
            line += f"{rank:>10.3f}{off:>9.1%}  {mark}"
        print(line)
    print_sketch(reference, vectors_of(SETTINGS[-1], proxy, rows, given.folder))
    print(f"asked: {SPEED:g} times as fast, Spearman {SPEARMAN}, G-Vendi within {SCORE:.0%}; "
          f"the default is {DEFAULT.label}")  # fmt: skip


def print_sketch(reference: NDArray[Any], factored: NDArray[Any]) -> None:
    """What folding to 1,024 numbers costs by itself, over several draws of the sketch."""
    print(f"\nthe same vectors folded to {DIMENSIONS:,}, mean and spread of {SKETCHES} draws:")
    for label, vectors in (("full", reference), ("factored", factored)):
        found = [agreement(sketched(vectors, seed), reference) for seed in range(SKETCHES)]
        ranks, offs = zip(*found, strict=True)
        print(f"{label:<42}{'':28}{statistics.mean(ranks):>10.3f}{statistics.mean(offs):>9.1%}"
              f"  +- {statistics.stdev(offs):.1%}")  # fmt: skip


if __name__ == "__main__":
    main()
