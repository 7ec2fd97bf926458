"""Averages of models: known answers, and models that cannot be averaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars
import pytest
import torch
from safetensors.torch import load_file, save_file

from assets.alignment import average
from assets.alignment.average import Params, mean, shares
from assets.compute import load_model, load_weights, save_model
from assets.sources import random_model
from registry.context import Input
from registry.errors import MethodError, UsageError


def make(build, *models: Path, **params) -> Path:
    given = [Input(f"model-{i}", None, files) for i, files in enumerate(models)]
    context = build(Params(**params), inputs={"models": given})
    average.run(context)
    return context.out


def weights(files: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for path in sorted(files.glob("*.safetensors")):
        found |= load_file(path)
    return found


@pytest.fixture(scope="module")
def others(build):
    """Two more models of the same shape, of other seeds."""
    found = []
    for seed in (1, 2):
        context = build(random_model.Params(hidden_size=32, layers=2), seed=seed)
        random_model.run(context)
        found.append(context.out)
    return found


def copied(files: Path, to: Path, **config) -> Path:
    shutil.copytree(files, to)
    path = to / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return to


@pytest.mark.parametrize("given", [{}, {"model-0": 1.0, "model-1": 2.0, "model-2": 0.1}])
def test_models_that_are_the_same_are_their_own_average(build, small_model, tmp_path, given):
    twins = [copied(small_model, tmp_path / name) for name in ("a", "b")]
    made = make(build, small_model, *twins, weights=given)
    for name, tensor in weights(small_model).items():
        assert torch.equal(tensor, weights(made)[name]), name
    table = polars.read_parquet(made / "averaged.parquet")
    assert table["distance"].to_list() == [0, 0, 0]


def test_the_average_is_the_weighted_mean(build, small_model, others):
    made = weights(make(build, small_model, *others, weights={"model-0": 2.0, "model-2": 0.0}))
    first, second, _ = (weights(one) for one in (small_model, *others))
    for name, tensor in made.items():
        assert torch.allclose(tensor, (2 * first[name] + second[name]) / 3, atol=1e-6), name


def test_averaging_commutes_with_a_linear_layer():
    generator = torch.Generator().manual_seed(0)
    layers = [torch.randn(5, 4, generator=generator) for _ in range(3)]
    given = torch.randn(4, generator=generator)
    parts = [0.5, 0.3, 0.2]
    outputs = [layer @ given for layer in layers]
    assert torch.allclose(mean(layers, parts) @ given, mean(outputs, parts), atol=1e-6)


def test_sums_are_kept_in_float32():
    """In bfloat16, 256 and 1 make 256, so that small steps of many models would be lost."""
    many = [torch.full((3,), 1.0, dtype=torch.bfloat16) for _ in range(300)]
    many[0] += 2
    found = mean(many, [1 / 300] * 300)
    assert found.dtype == torch.float32
    assert torch.allclose(found, torch.full((3,), 1 + 2 / 300), atol=1e-5)


def test_what_is_made_can_be_read_and_keeps_its_number_format(build, small_model, others, tmp_path):
    given = []
    for name, files in (("a", small_model), ("b", others[0])):
        model, tokenizer = load_weights(files, torch.device("cpu"), "bfloat16")
        save_model(model, tokenizer, tmp_path / name)
        given.append(tmp_path / name)
    made = make(build, *given)
    assert {t.dtype for t in weights(made).values()} == {torch.bfloat16}
    model, tokenizer = load_model(made, torch.device("cpu"), "float32")
    assert tokenizer.chat_template
    assert model(input_ids=torch.tensor([[5, 6]])).logits.isfinite().all()


def test_a_model_in_parts_stays_in_parts(build, small_model, others, tmp_path):
    model, tokenizer = load_weights(small_model, torch.device("cpu"), "float32")
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    tokenizer.save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    made, whole = make(build, tmp_path, others[0]), make(build, small_model, others[0])
    assert {p.name for p in made.glob("*.safetensors")} == {
        p.name for p in tmp_path.glob("*.safetensors")
    }
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(made)[name])
    load_model(made, torch.device("cpu"), "float32")


def test_the_same_models_give_the_same_bytes(build, small_model, others):
    found = [make(build, small_model, *others) for _ in range(2)]
    for name in ("model.safetensors", "averaged.parquet", "headline.json"):
        assert (found[0] / name).read_bytes() == (found[1] / name).read_bytes()


def test_weights_that_cannot_be_are_refused():
    assert shares({}, ["a", "b"]) == [0.5, 0.5]
    assert shares({"a": 3}, ["a", "b"]) == [0.75, 0.25]
    with pytest.raises(UsageError, match="'aa', which is no input"):
        shares({"aa": 1}, ["a", "b"])
    with pytest.raises(UsageError, match="is negative"):
        shares({"a": -1}, ["a", "b"])
    with pytest.raises(UsageError, match="no model any weight"):
        shares({"a": 0, "b": 0}, ["a", "b"])
    with pytest.raises(UsageError, match="named twice"):
        shares({}, ["a", "a"])


def test_another_width_is_refused(build, small_model):
    context = build(random_model.Params(hidden_size=48, layers=2))
    random_model.run(context)
    with pytest.raises(MethodError, match="head_dim is 8 and 12") as caught:
        make(build, small_model, context.out)
    assert "one base" in caught.value.mend


def test_another_meaning_of_the_same_shape_is_refused(build, small_model, tmp_path):
    other = copied(small_model, tmp_path / "a", num_attention_heads=8)
    with pytest.raises(MethodError, match="num_attention_heads is 4 and 8"):
        make(build, small_model, other)


def test_another_vocabulary_is_refused(build, small_model, tmp_path):
    other = copied(small_model, tmp_path / "a")
    path = other / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(MethodError, match="their tokens are not the same"):
        make(build, small_model, other)


def test_other_turns_are_refused(build, small_model, tmp_path):
    other = copied(small_model, tmp_path / "a")
    (other / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(MethodError, match="write turns differently"):
        make(build, small_model, other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t | {"more": torch.zeros(1)}, "only one of them has more"),
        (lambda t: t | {"model.norm.weight": torch.zeros(3)}, "model.norm.weight is of shape"),
        (lambda t: t | {"model.norm.weight": torch.full((32,), torch.nan)}, "is not finite"),
    ],
    ids=["another tensor", "another shape", "no number"],
)
def test_tensors_that_do_not_fit_are_refused(build, small_model, tmp_path, change, said):
    other = copied(small_model, tmp_path / "a")
    tensors = change(load_file(other / "model.safetensors"))
    save_file(tensors, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MethodError, match=said):
        make(build, small_model, other)


def test_what_is_no_model_is_refused(build, small_model, tmp_path):
    with pytest.raises(MethodError, match=r"has no config\.json"):
        make(build, small_model, tmp_path)
    (tmp_path / "config.json").write_bytes((small_model / "config.json").read_bytes())
    with pytest.raises(MethodError, match=r"has no tokenizer\.json"):
        make(build, small_model, tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((small_model / "tokenizer.json").read_bytes())
    template = (small_model / "chat_template.jinja").read_bytes()
    (tmp_path / "chat_template.jinja").write_bytes(template)
    with pytest.raises(MethodError, match=r"has no \.safetensors file"):
        make(build, small_model, tmp_path)
