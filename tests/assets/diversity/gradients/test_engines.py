"""Unprojected, the fast engine gives the inner products of full gradients; projected, nearly."""

from __future__ import annotations

import pytest
import torch

from assets.diversity.gradients.causal import Causal, collate
from assets.diversity.gradients.encoding import Encoded
from assets.diversity.gradients.factored import FactoredEngine
from assets.diversity.gradients.full import FullEngine
from assets.diversity.gradients.norms import epsilon_of
from assets.diversity.gradients.projection import Sketch
from registry.errors import MethodError
from tests.assets.diversity.gradients.conftest import MODELS, SHAPE, Whole, draw_rows, llama

CPU = torch.device("cpu")


def products(vectors: torch.Tensor) -> torch.Tensor:
    vectors = vectors.double()
    return vectors @ vectors.T


def by_hand(model, row: Encoded) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradient of the library's own loss, prompt masked, over all weights."""
    model.requires_grad_(True)
    ids = torch.tensor([row.ids])
    labels = ids.clone()
    labels[0, : row.prompt] = -100
    loss = model(input_ids=ids, labels=labels).loss
    wanted = dict(model.named_parameters())
    found = torch.autograd.grad(loss, list(wanted.values()))
    return torch.cat([part.flatten() for part in found]), loss.detach()


@pytest.mark.parametrize("name", MODELS)
def test_both_engines_give_the_inner_products_of_whole_gradients(name, rows):
    model = MODELS[name]()
    whole, losses = zip(*(by_hand(model, row) for row in rows), strict=True)
    expected = products(torch.stack(whole))
    scale = expected.diagonal().sqrt()
    causal = Causal(model)
    for engine in (FullEngine(causal, Whole()), FactoredEngine(causal, Whole(), 4096, 0)):
        vectors, loss = engine.gradients(rows)
        assert loss == pytest.approx(torch.stack(losses), rel=1e-4)
        error = (products(vectors) - expected).abs() / torch.outer(scale, scale)
        assert error.max() < 1e-4


def test_the_reference_keeps_the_gradient_number_for_number(causal, rows):
    whole = FullEngine(causal, Whole()).gradients(rows)[0]
    assert whole.shape[1] == sum(weight.numel() for weight in causal.model.parameters())


@pytest.mark.parametrize("make", [FullEngine, lambda c, s: FactoredEngine(c, s, 8, s.seed)])
def test_inner_products_are_right_in_the_mean_over_seeds(make, causal, rows):
    expected = products(FullEngine(causal, Whole()).gradients(rows)[0])
    scale = torch.outer(expected.diagonal(), expected.diagonal()).sqrt()
    found = [
        products(make(causal, Sketch(256, seed, CPU)).gradients(rows)[0]) / scale
        for seed in range(60)
    ]
    mean, spread = torch.stack(found).mean(0), torch.stack(found).std(0)
    assert ((mean - expected / scale).abs() < 4.5 * spread / len(found) ** 0.5 + 1e-6).all()
    assert spread.max() < 0.4


@pytest.mark.parametrize("make", [FullEngine, lambda c, s: FactoredEngine(c, s, 16, s.seed)])
def test_a_row_has_the_same_gradient_alone_and_in_a_batch(make, causal, rows):
    engine = make(causal, Sketch(512, 0, CPU))
    together, losses = engine.gradients(rows)
    for index, row in enumerate(rows):
        alone, loss = engine.gradients([row])
        assert torch.allclose(alone[0], together[index], rtol=1e-4, atol=1e-4 * alone.norm())
        assert float(loss[0]) == pytest.approx(float(losses[index]), rel=1e-5)


def test_the_same_rows_give_the_same_bits(causal, rows):
    vectors = [
        FactoredEngine(causal, Sketch(64, 5, CPU), 8, 5).gradients(rows)[0] for _ in range(2)
    ]
    assert torch.equal(*vectors)


def test_the_model_is_left_as_it_was(causal, rows):
    before = {name: module.forward for name, module in causal.model.named_modules()}
    weights = {name: value.clone() for name, value in causal.model.state_dict().items()}
    FactoredEngine(causal, Sketch(64, 0, CPU), 8, 0).gradients(rows)
    FullEngine(causal, Sketch(64, 0, CPU)).gradients(rows[:1])
    assert all(weight.grad is None for weight in causal.model.parameters())
    assert before == {name: module.forward for name, module in causal.model.named_modules()}
    assert all(torch.equal(weights[n], value) for n, value in causal.model.state_dict().items())
    assert not any(module._forward_hooks for module in causal.model.modules())


def test_half_precision_points_the_same_way(rows):
    exact = FullEngine(Causal(llama()), Whole()).gradients(rows)[0]
    rough = FactoredEngine(Causal(llama().bfloat16()), Whole(), 4096, 0).gradients(rows)[0]
    cosines = [
        products(vectors) / torch.outer(*[products(vectors).diagonal().sqrt()] * 2)
        for vectors in (exact, rough)
    ]
    assert (cosines[0] - cosines[1]).abs().max() < 0.1


def test_a_prompt_is_masked_and_each_token_of_a_completion_counts_alike():
    batch = collate(draw_rows([(5, 2), (6, 3)]), CPU)
    assert batch.position.tolist() == [2, 3, 2, 3, 4]
    assert batch.row.tolist() == [0, 0, 1, 1, 1]
    assert batch.weight.tolist() == pytest.approx([1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3])
    assert batch.ids[0, 4] == batch.ids[0, 5]


def test_what_is_not_a_number_stays_in_its_row(rows):
    model = llama(tie_word_embeddings=False)
    spoilt = 50
    with torch.no_grad():
        model.get_input_embeddings().weight[spoilt] = torch.nan
    bad = Encoded((spoilt, *rows[1].ids[1:]), rows[1].supervised)
    good = [row for row in rows if spoilt not in row.ids]
    assert len(good) >= 3
    causal = Causal(model)
    for engine in (
        FullEngine(causal, Sketch(64, 0, CPU)),
        FactoredEngine(causal, Sketch(64, 0, CPU), 8, 0),
    ):
        vectors, losses = engine.gradients([good[0], bad, *good[1:]])
        finite = vectors.isfinite().all(1) & losses.isfinite()
        assert finite.tolist() == [True, False, *[True] * (len(good) - 1)]


def test_a_scale_of_one_plus_weight_is_no_plain_norm():
    from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
    from transformers.models.llama.modeling_llama import LlamaRMSNorm

    assert epsilon_of(LlamaRMSNorm(16, eps=1e-5)) == 1e-5
    assert epsilon_of(GemmaRMSNorm(16)) is None
    assert epsilon_of(torch.nn.LayerNorm(16)) is None


def test_a_cap_on_logits_is_refused():
    from transformers import Gemma2Config, Gemma2ForCausalLM

    shape = SHAPE | {"head_dim": 8, "final_logit_softcapping": 0.01}
    with pytest.raises(MethodError, match="more with its logits"):
        Causal(Gemma2ForCausalLM(Gemma2Config(**shape)))


def test_a_layer_without_a_rule_is_named(rows):
    from transformers import GemmaConfig, GemmaForCausalLM

    torch.manual_seed(0)
    causal = Causal(GemmaForCausalLM(GemmaConfig(**SHAPE | {"head_dim": 8})))
    with pytest.raises(MethodError, match=r"no rule for a Gemma\w*Embedding"):
        FactoredEngine(causal, Whole(), 8, 0)
    assert FullEngine(causal, Sketch(64, 0, CPU)).gradients(rows)[0].isfinite().all()
