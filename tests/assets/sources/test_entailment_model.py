"""An entailment model from a folder: data only, and it is known which label means what."""

from __future__ import annotations

import json

import pytest

from assets.sources import entailment_model
from assets.sources.entailment_model import Params, Reading, entailment_place
from registry.errors import MethodError
from tests.assets.entailment import write_entailment_model


def make(build, folder, **other):
    context = build(Params(folder=folder.name, **other), root=folder.parent)
    entailment_model.run(context)
    return context.out


def test_a_folder_is_taken_over(build, tmp_path):
    out = make(build, write_entailment_model(tmp_path / "nli"))
    reading = Reading.model_validate_json((out / "entailment.json").read_bytes())
    assert (reading.entailment, reading.longest) == (1, 64)
    assert reading.labels == ("contradiction", "entailment", "neutral")
    assert not [p.name for p in out.rglob("*") if p.suffix in (".py", ".bin", ".pt")]


@pytest.mark.parametrize(
    ("labels", "wanted", "place"),
    [
        (("ENTAILMENT", "NEUTRAL"), "", 0),
        (("not_entailment", "entailment"), "", 1),
        (("LABEL_0", "LABEL_1"), "LABEL_1", 1),
        (("LABEL_0", "LABEL_1"), "", None),
        (("yes", "no"), "maybe", None),
        (("entailment",), "", None),
    ],
)
def test_which_label_means_entailment(labels, wanted, place):
    if place is None:
        with pytest.raises(MethodError, match="none is called"):
            entailment_place(labels, wanted, "nli")
    else:
        assert entailment_place(labels, wanted, "nli") == place


def test_a_model_that_writes_is_refused(build, small_model):
    with pytest.raises(MethodError, match="no classifier of sentences"):
        make(build, small_model)


@pytest.mark.parametrize("text", ["{", "[]", "[" * 5000])
def test_a_folder_with_broken_configuration_is_refused(build, tmp_path, text):
    (tmp_path / "nli").mkdir()
    (tmp_path / "nli/config.json").write_text(text)
    with pytest.raises(MethodError, match=r"no config\.json that can be read"):
        make(build, tmp_path / "nli")


def test_weights_that_can_hold_code_are_not_read(build, tmp_path):
    folder = write_entailment_model(tmp_path / "nli")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(MethodError, match="no classifier that can be loaded"):
        make(build, folder)


def test_code_of_its_own_is_not_run(build, tmp_path):
    folder = write_entailment_model(tmp_path / "nli")
    config = json.loads((folder / "config.json").read_text())
    config |= {"auto_map": {"AutoModelForSequenceClassification": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    out = make(build, folder)
    assert not (out / "evil.py").exists()
