"""Proof beside plain SHA-256 over the same bytes: `python -m benchmarks.verify [PROJECT RELEASE]`.

Without arguments a project of random weights is made: a release of 1 GiB whose chain has five
artifacts. The yardstick is `openssl dgst -sha256` over the same files, one process a processor, on
warm pages: it uses the processor's own instructions for SHA-256, as `sha256sum` does not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from registry import hashing
from registry.cli.lineage import walk
from registry.graph import Graph
from registry.project import load_profiles

MIB = 1 << 20
CHORUS = (sys.executable, "-P", "-m", "registry.cli")
SIZES = {"a": 64, "b": 320, "c": 320, "d": 8, "e": 320}


def chain(root: Path) -> str:
    """A project of five made artifacts, each of one big file; returns the last."""
    from registry.artifact import FileEntry, InputEntry, Manifest, MethodEntry, content_digest

    for folder in ("registry", "value_profiles"):
        (root / folder).mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    above: tuple[InputEntry, ...] = ()
    for name, size in SIZES.items():
        files = root / "data" / name / "files"
        files.mkdir(parents=True)
        (files / "model.safetensors").write_bytes(os.urandom(MIB) * size)
        digest = hashing.sha256_file(files / "model.safetensors")
        entry = FileEntry(path="model.safetensors", size=size * MIB, sha256=digest)
        method = MethodEntry(name="m", code="", distribution="", version="")
        manifest = Manifest(
            node=name, kind="model", licence="CC0-1.0", method=method, params={}, seed=0, threads=1,
            device="cpu", dtype=None, libraries={}, inputs=above, profiles=(), sources=(),
            checks=(), rows={}, files=(entry,), content=content_digest([entry]),
        )  # fmt: skip
        (files.parent / "manifest.json").write_bytes(manifest.to_bytes())
        above = (InputEntry(role="base", node=name, content=manifest.content),)
    return name


def best(actions: Sequence[Callable[[], object]], runs: int = 5) -> list[float]:
    """The best of several runs of each, in turn, since machines are noisy."""
    found: list[list[float]] = [[] for _ in actions]
    for _ in range(runs):
        for action, seconds in zip(actions, found, strict=True):
            started = time.perf_counter()
            action()
            seconds.append(time.perf_counter() - started)
    return [min(seconds) for seconds in found]


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        if len(sys.argv) == 3:
            root, target = Path(sys.argv[1]).resolve(), sys.argv[2]
        else:
            root = Path(scratch) / "project"
            target = chain(root)
        read: list[Path] = []
        plain = hashing.sha256_file

        def noted(path: Path) -> str:
            read.append(path)
            return plain(path)

        def proof() -> None:
            walk(Graph(load_profiles(root), {}), target)

        hashing.sha256_file = noted
        proof()
        hashing.sha256_file = plain
        size = sum(path.stat().st_size for path in read)
        largest_first = sorted(read, key=lambda path: path.stat().st_size, reverse=True)
        names = b"\0".join(os.fsencode(path) for path in largest_first)
        processors = str(len(os.sched_getaffinity(0)))
        sums = ["xargs", "-0", "-n", "1", "-P", processors, "openssl", "dgst", "-sha256"]

        def yardstick() -> None:
            subprocess.run(sums, input=names, capture_output=True, check=True)

        ours, theirs = best((proof, yardstick))
        print(f"{size / MIB:,.0f} MiB in {len(read)} files ({len(set(read))} different)")
        speeds = (
            f"{size / MIB / ours:,.0f} MiB/s; openssl: {theirs:.3f} s, {size / MIB / theirs:,.0f}"
        )
        print(f"proof: {ours:.3f} s, {speeds} MiB/s; {theirs / ours:.0%} (claim: 80 % or more)")


if __name__ == "__main__":
    main()
