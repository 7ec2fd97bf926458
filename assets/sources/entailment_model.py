"""A classifier that tells whether one sentence follows from another, from a folder or a hub.

Such models are called NLI cross-encoders: they read both sentences at once, where a sentence
encoder reads each by itself and knows only what it is about. Only data is taken over, saved anew as
safetensors. None is packaged.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.compute import LIBRARIES, prepare, save_model
from assets.sources.hub_model import downloaded
from registry.errors import MethodError
from registry.method import Method, SourcePath
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

SETTINGS = "entailment.json"
_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model"]
_NAMES = ("entailment", "entail", "entails")
_LARGEST = 100_000
"""Tokenizers that know no limit give a number beyond this."""


class Reading(Frozen):
    """How an entailment model is read."""

    schema_version: int = 1
    """The version of this schema."""
    entailment: int
    """The place of the label that says that the second sentence follows from the first."""
    labels: tuple[str, ...]
    """All labels, by place."""
    longest: int
    """Tokens that both sentences may have together."""


class Params(Frozen):
    """Where the model is."""

    folder: SourcePath
    """A folder of the project in the format of `save_pretrained`; its bytes count as an input."""
    label: str = ""
    """The label that means entailment, where it is not called so."""


class HubParams(Frozen):
    """Which model, at which revision."""

    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """The repository on the hub, `owner/name`."""
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    """The full commit; a branch or tag could move."""
    label: str = ""
    """The label that means entailment, where it is not called so."""


def entailment_place(labels: tuple[str, ...], wanted: str, where: str) -> int:
    """Which label means entailment; raises MethodError where that cannot be told."""
    names = (wanted.casefold(),) if wanted else _NAMES
    found = [place for place, label in enumerate(labels) if label.casefold() in names]
    if len(found) != 1 or len(labels) == 1:
        raise MethodError(
            f"has the labels {', '.join(labels)}; none is called {wanted or 'entailment'}",
            where=where,
            why="reading another label would turn every figure around",
            mend="give `label`: the name of the label that means entailment, from the model's card",
        )
    return found[0]


def _take_over(folder: Path, shown: str, label: str, out: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        named = json.loads((folder / "config.json").read_bytes()).get("architectures") or [""]
    except (OSError, ValueError, AttributeError, RecursionError):
        raise MethodError("has no config.json that can be read", where=shown) from None
    if not str(named[0]).endswith("ForSequenceClassification"):
        raise MethodError(
            f"holds {named[0] or 'no named network'}, no classifier of sentences",
            where=shown,
            mend="name the folder of a model that was trained on natural language inference",
        )
    try:
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise MethodError(
            f"holds no classifier that can be loaded: {error}",
            where=shown,
            mend="save it anew with transformers, as safetensors",
        ) from error
    labels = tuple(str(model.config.id2label[place]) for place in range(model.config.num_labels))
    known = [getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length]
    limits = [int(one) for one in known if one is not None and 0 < one < _LARGEST]
    reading = Reading(
        entailment=entailment_place(labels, label, shown),
        labels=labels,
        longest=min(limits) if limits else 512,
    )
    save_model(model, tokenizer, out)
    (out / SETTINGS).write_text(reading.model_dump_json(indent=2) + "\n", encoding="utf-8")


def run(context: Context) -> None:
    """Takes a folder over."""
    prepare(context)
    params = context.typed(Params)
    _take_over(context.source(params.folder), params.folder, params.label, context.out)
    context.progress(1, 1)


def run_hub(context: Context) -> None:
    """Downloads a repository's safetensors at the revision and takes them over."""
    prepare(context)
    params = context.typed(HubParams)
    named = f"{params.repository}@{params.revision[:12]}"
    folder = downloaded(context, params.repository, params.revision, _FILES, named)
    context.progress(1, 2)
    _take_over(folder, named, params.label, context.out)
    context.progress(2, 2)


_DESCRIPTION = "A classifier that tells whether one sentence follows from another"

method = Method(
    name="entailment-model",
    kind="model",
    form="entailment model",
    description=f"{_DESCRIPTION}, from a folder.",
    params=Params,
    run=run,
    libraries=LIBRARIES,
)

hub_method = Method(
    name="hub-entailment-model",
    kind="model",
    form="entailment model",
    description=f"{_DESCRIPTION}, from a model hub at a pinned revision.",
    params=HubParams,
    run=run_hub,
    libraries=(*LIBRARIES, "huggingface_hub"),
    network=True,
)
