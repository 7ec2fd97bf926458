"""Prints what MinHash over many short rows takes: `python -m benchmarks.filtering`.

Each figure comes from a process of its own, so that peak memory is its own, on the same rows: 14 to
30 words each, of which 10 % repeat an earlier row but for one word and 2 % repeat one exactly.
`--rows` is the largest number for ours; beside it lie a half and a quarter, to show that time grows
with the number of rows. `--beside` is the number on which all three are compared. Rates are by the
seconds of the processor, since others may use the machine; every tool has one thread.

datatrove's English tokenizer needs spaCy; here it splits at spaces, which favours it. It keeps any
one row of a group, so that some rows that others repeat count as wrongly left out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy
import polars

NEAR, EXACT, THRESHOLD, PERMUTATIONS, WORDS = 0.1, 0.02, 0.8, 128, 5
_WORDS = 50_000


def rows(count: int) -> tuple[list[str], numpy.ndarray]:
    """The texts, and which of them repeat an earlier one."""
    draw = numpy.random.default_rng(0)
    letters = numpy.array(list("abcdefghijklmnop"))
    codes = numpy.arange(_WORDS)[:, None] // 16 ** numpy.arange(4) % 16
    vocabulary = numpy.array(["".join(letters[code]) for code in codes])
    lengths = draw.integers(14, 31, count)
    made: list[str] = []
    kind = draw.random(count)
    for position in range(count):
        if position > 100 and kind[position] < NEAR + EXACT:
            words = made[int(draw.integers(0, position))].split()
            if kind[position] < NEAR:
                words[-1] = "changed"
            made.append(" ".join(words))
        else:
            chosen = draw.zipf(1.3, lengths[position]) % _WORDS
            made.append(" ".join(vocabulary[chosen]))
    return made, kind < NEAR + EXACT


def ours(texts: list[str]) -> numpy.ndarray:
    """Which rows our step leaves out."""
    from assets.diversity.filtering import minhash, shingles

    parts = []
    for start in range(0, len(texts), 50_000):
        plain = shingles.normalised(polars.Series(texts[start : start + 50_000])).to_list()
        found = shingles.sequences(shingles.words(plain), WORDS, short=True)
        parts.append(minhash.signatures(found, PERMUTATIONS))
    signed = numpy.concatenate(parts)
    del parts
    everything = numpy.ones(len(texts), dtype=bool)
    order = numpy.arange(len(texts))
    return minhash.nearest_kept(signed, order, everything, THRESHOLD).score >= THRESHOLD


def datasketch(texts: list[str]) -> numpy.ndarray:
    """Which rows are left out with datasketch's MinHash and LSH, as its documentation shows."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    out = numpy.zeros(len(texts), dtype=bool)
    empty = MinHash(num_perm=PERMUTATIONS)
    for position, text in enumerate(texts):
        words = text.lower().split()
        sketch = empty.copy()
        sequences = {" ".join(words[i : i + WORDS]).encode() for i in range(len(words) - WORDS + 1)}
        sketch.update_batch(list(sequences))
        if index.query(sketch):
            out[position] = True
        else:
            index.insert(position, sketch)
    return out


def datatrove(texts: list[str]) -> numpy.ndarray:
    """Which rows are left out with datatrove's four stages in one process."""
    import datatrove.pipeline.dedup.minhash as stages
    from datatrove.data import Document
    from datatrove.utils.hashing import HashConfig
    from datatrove.utils.logging import logger
    from datatrove.utils.word_tokenizers import WordTokenizer

    class Spaces(WordTokenizer):
        """Splits at spaces, as the others do."""

        def word_tokenize(self, text: str) -> list[str]:
            return text.split()

        def sent_tokenize(self, text: str) -> list[str]:
            return [text]

        def span_tokenize(self, text: str) -> list[tuple[int, int]]:
            return [(0, len(text))]

    logger.remove()
    stages.tqdm = lambda given, *_, **__: given
    config = stages.MinhashConfig(
        n_grams=WORDS, num_buckets=16, hashes_per_bucket=8, hash_config=HashConfig(hash_fc="sha1")
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        signatures, buckets, removed = (str(folder / name) for name in ("s", "b", "r"))
        documents = (Document(text=text, id=str(i)) for i, text in enumerate(texts))
        stages.MinhashDedupSignature(signatures, config, Spaces()).run(documents)
        for bucket in range(config.num_buckets):
            step = stages.MinhashDedupBuckets(signatures, buckets, config=config)
            step.run(rank=bucket, world_size=config.num_buckets)
        stages.MinhashDedupCluster(buckets, removed, config=config).run()
        documents = (Document(text=text, id=str(i)) for i, text in enumerate(texts))
        kept = {int(d.id) for d in stages.MinhashDedupFilter(removed).run(documents)}
    return numpy.array([position not in kept for position in range(len(texts))])


TOOLS: dict[str, Callable[[list[str]], numpy.ndarray]] = {
    "ours": ours,
    "datasketch": datasketch,
    "datatrove": datatrove,
}


def measure(tool: str, count: int) -> dict[str, float]:
    """One run in this process."""
    texts, planted = rows(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, worked = time.perf_counter(), time.process_time()
    out = TOOLS[tool](texts)
    return {
        "processor": time.process_time() - worked,
        "seconds": time.perf_counter() - started,
        "texts_gib": before / 2**20,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "found": float(out[planted].mean()),
        "wrong": float(out[~planted].mean()),
    }


def in_child(tool: str, count: int) -> dict[str, float]:
    """One run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.filtering", "--one", tool, "--rows", str(count)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def line(tool: str, count: int, found: dict[str, float]) -> None:
    spent, waited = found["processor"], found["seconds"]
    print(
        f"{tool:<11} {count:>10,} rows {spent:7.1f} s ({waited:.1f} by the clock) "
        f"{count / spent:>8,.0f} rows/s   peak {found['peak_gib']:5.2f} GiB "
        f"(texts {found['texts_gib']:4.2f})   repetitions found {found['found']:6.1%}   "
        f"others left out {found['wrong']:.2%}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--beside", type=int, default=100_000)
    parser.add_argument("--one", choices=TOOLS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.rows)))
        return
    print(f"MinHash, {PERMUTATIONS} permutations, {WORDS} words, threshold {THRESHOLD}, one core")
    for tool in TOOLS:
        line(tool, given.beside, in_child(tool, given.beside))
    print("ours, to see how it grows")
    for count in (given.rows // 4, given.rows // 2, given.rows):
        line("ours", count, in_child("ours", count))


if __name__ == "__main__":
    main()
