"""The files of a tiny reward model, random but whole."""

from __future__ import annotations

import json

import pytest
import torch

from registry.typed import Frozen


@pytest.fixture(scope="session")
def reward_files(build, lively_model):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    files = build(Frozen()).out
    tokenizer = AutoTokenizer.from_pretrained(lively_model)
    model = AutoModelForSequenceClassification.from_pretrained(lively_model, num_labels=1)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(files)
    tokenizer.save_pretrained(files)
    settings = {"schema_version": 1, "chat_template": True, "longest": 60}
    (files / "reward.json").write_text(json.dumps(settings))
    return files
