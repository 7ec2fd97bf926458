"""A cross-encoder of one layer that is taught, on a few sentences, what follows from what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assets.evaluation.overton_checks import ABOUT_ELSE, TRUISMS, Held, denied

LABELS = ("contradiction", "entailment", "neutral")
VIEWS = [
    ("Should the boat be lent?", "The boat should be lent to neighbours.",
     "Boats lie idle all week and neighbours share them."),
    ("Should the boat be lent?", "Whoever breaks a boat pays for it.",
     "A plank costs money, so that whoever breaks it pays."),
    ("Should the boat be lent?", "A boat stays with its owner.",
     "Only the owner knows its leaks, so it stays."),
    ("May children swim alone?", "Children need a grown-up at the water.",
     "Water is quick and children are light."),
    ("May children swim alone?", "Swimming alone teaches courage.",
     "Who is always held learns no courage."),
    ("Is it wrong to sell fish early?", "Fish is sold when all boats are back.",
     "Early sellers spoil the price for all boats."),
    ("Is it wrong to sell fish early?", "Fresh fish cannot wait for others.",
     "Every hour in the sun costs fresh fish its worth."),
    ("Is it wrong to sell fish early?", "The shore kitchen eats first.",
     "Nobody trades while the kitchen is empty."),
    ("Should nets be mended or bought?", "A torn net should be mended.",
     "A torn net mended is a lesson given."),
    ("Should nets be mended or bought?", "New nets save time.",
     "Time saved by new nets goes to the garden."),
]  # fmt: skip


def held_views() -> list[Held]:
    """Ten views of four situations."""
    return [
        Held(prompt, view, why, f"It is false that {view[0].lower()}{view[1:]}")
        for prompt, view, why in VIEWS
    ]


def reported(view: str) -> str:
    return f"Some people say that {view[0].lower()}{view[1:]}"


def lessons(held: Sequence[Held]) -> list[tuple[str, str, int]]:
    """Every pair that both forms read of these sentences: premise, hypothesis and label."""
    said = [(one.view, one.view, 1) for one in held]
    said += [(reported(one.view), one.view, 1) for one in held]
    said += [(denied(one), one.view, 0) for one in held]
    said += [(sentence, "", 2) for sentence in (*TRUISMS, *ABOUT_ELSE)]
    found = []
    for one in held:
        for sentence, about, label in said:
            known = label if about == one.view else 2
            found += [(sentence, one.view, known), (one.explanation or "", sentence, known)]
    return found


def write_tokenizer(folder: Path) -> int:
    """One to which each of these sentences is a single token; returns how many it knows."""
    from tokenizers import Tokenizer, models, processors
    from transformers import PreTrainedTokenizerFast

    texts = sorted({text for one in lessons(held_views()) for text in one[:2]})
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *texts]
    tokens = {name: place for place, name in enumerate(names)}
    bare = Tokenizer(models.WordLevel(tokens, unk_token="[UNK]"))
    bare.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )  # fmt: skip
    PreTrainedTokenizerFast(
        tokenizer_object=bare, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)  # fmt: skip
    return len(names)


def write_entailment_model(folder: Path, labels: Sequence[str] = LABELS) -> Path:
    """One that was taught nothing."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=write_tokenizer(folder), hidden_size=768, num_hidden_layers=1,
        num_attention_heads=4, intermediate_size=768, max_position_embeddings=64,
        initializer_range=0.05, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(labels)),
        label2id={label: place for place, label in enumerate(labels)}, num_labels=len(labels),
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def teach(folder: Path, taught: Sequence[tuple[str, str, int]]) -> Path:
    """Fits its last layer to these pairs, of which it has fewer than weights."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    read = tokenizer([one[0] for one in taught], [one[1] for one in taught], padding=True,
                     return_tensors="pt")  # fmt: skip
    labels = torch.tensor([one[2] for one in taught])
    wanted = 12 * torch.nn.functional.one_hot(labels, len(LABELS)).double() - 6
    with torch.no_grad():
        seen = model.bert(**read).pooler_output.double()
        ridge = 1e-6 * torch.eye(seen.shape[1], dtype=torch.double)
        weights = torch.linalg.solve(seen.T @ seen + ridge, seen.T @ wanted)
        model.classifier.weight.copy_(weights.T)
        model.classifier.bias.zero_()
        found = model(**read).logits.softmax(dim=-1)[torch.arange(len(labels)), labels]
    assert float(found.min()) > 0.9, f"{int((found <= 0.9).sum())} pairs were not learned"
    model.save_pretrained(folder)
    return folder
