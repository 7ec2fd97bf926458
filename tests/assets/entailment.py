"""A small cross-encoder that is taught, on a few sentences, what follows from what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assets.evaluation.overton_checks import ABOUT_ELSE, TRUISMS, Held, denied
from tests.assets.encoders import packaged_encoder

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
    """Premise, hypothesis and label; what follows stands oftener, since it is rare."""
    found = []
    for one in held:
        follows = [(one.view, one.view), (reported(one.view), one.view)]
        follows += [(one.explanation or "", one.view), (one.view, reported(one.view))]
        found += [(*pair, 1) for pair in follows for _ in range(6)]
        for premise in (one.view, one.explanation or ""):
            found += 6 * [(denied(one), premise, 0), (premise, denied(one), 0)]
            found += [(premise, said, 2) for said in (*TRUISMS, *ABOUT_ELSE)]
        found += [(said, one.view, 2) for said in (*TRUISMS, *ABOUT_ELSE)]
        for other in held:
            if other is not one:
                times = 4 if other.prompt == one.prompt else 1
                found += times * [(other.view, one.view, 2), (one.explanation or "", other.view, 2)]
                found += [(reported(other.view), one.view, 2), (denied(other), one.view, 2)]
    return found


def write_entailment_model(folder: Path, labels: Sequence[str] = LABELS) -> Path:
    """One that was taught nothing."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(packaged_encoder(), local_files_only=True)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=128, max_position_embeddings=64, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, id2label=dict(enumerate(labels)),
        label2id={label: place for place, label in enumerate(labels)},
        num_labels=len(labels),
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def teach(folder: Path, taught: Sequence[tuple[str, str, int]], steps: int = 220) -> Path:
    """Trains it until it tells these pairs."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).train()
    read = tokenizer([one[0] for one in taught], [one[1] for one in taught], padding=True,
                     return_tensors="pt")  # fmt: skip
    labels = torch.tensor([one[2] for one in taught])
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    order = torch.Generator().manual_seed(0)
    for _ in range(steps):
        chosen = torch.randperm(len(labels), generator=order)[:96]
        optimiser.zero_grad()
        loss = model(**{name: rows[chosen] for name, rows in read.items()}, labels=labels[chosen])
        loss.loss.backward()
        optimiser.step()
    model.save_pretrained(folder)
    return folder
