"""Writes reference.json beside this file: how the losses of the small networks of
../../../engine/src/model/reference.py fall when `transformers`, `peft` and `torch` train them, in
single precision and without dropout. The adapters' first values follow from their names.

    python3 -m venv v && v/bin/pip install torch==2.11.0 transformers==5.23.0 peft==0.21.2 && v/bin/python reference.py
"""

import importlib.util
import json
import pathlib
import random
import sys

import peft
import torch
import torch.nn.functional as F

sys.dont_write_bytecode = True
# It has the name of this file.
NETWORKS = pathlib.Path(__file__).parents[3] / "engine" / "src" / "model" / "reference.py"
spec = importlib.util.spec_from_file_location("networks", NETWORKS)
networks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(networks)
values = networks.values

STEPS, IGNORE, VOCABULARY = 20, -100, 64
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
FEED_FORWARD = ["gate_proj", "up_proj", "down_proj"]
BASES = {"llama": networks.llama, "qwen2": networks.qwen2, "qwen3": networks.qwen3}
# At higher rates, single and double precision part by more than what is tested within these steps.
CASES = {
    "lora": dict(base="llama", method="LoRA", rate=1e-2, r=4, alpha=8, targets=["q_proj", "v_proj"]),
    "lora of all layers": dict(
        base="qwen2", method="LoRA", rate=4e-3, r=8, alpha=16, rslora=True, targets=ATTENTION + FEED_FORWARD
    ),
    "full": dict(base="llama", method="Full", rate=3e-3),
    "full of qwen2": dict(base="qwen2", method="Full", rate=3e-3),
    "full of qwen3": dict(base="qwen3", method="Full", rate=3e-3),
    "prefix": dict(base="llama", method="Prefix", rate=3e-2, tokens=5),
    "dpo": dict(base="llama", method="LoRA", dpo=True, beta=0.5, rate=1e-2, r=4, alpha=8, targets=ATTENTION),
}
DECAY, CLIP = 0.01, 1.0


def text(numbers, first):
    length = numbers.randint(5, 12)
    # Something to learn: most tokens follow from the one before.
    tokens = [first]
    while len(tokens) <= length:
        follows = (tokens[-1] * 5 + 3) % VOCABULARY
        tokens.append(follows if numbers.random() < 0.8 else numbers.randrange(VOCABULARY))
    targets = tokens[1:]
    masked = numbers.randint(0, 3)
    return {"tokens": tokens[:-1], "targets": [IGNORE] * masked + targets[masked:]}


def data():
    numbers = random.Random(7)
    texts = [[text(numbers, numbers.randrange(VOCABULARY)) for _ in range(3)] for _ in range(STEPS)]
    pairs = []
    for _ in range(STEPS):
        step = []
        for _ in range(2):
            first = numbers.randrange(VOCABULARY)
            step.append({"chosen": text(numbers, first), "rejected": text(numbers, first)})
        pairs.append(step)
    return texts, pairs


def parameters(model, case):
    """What is trained; its first values follow from its name in the file."""
    trained = [(name, it) for name, it in model.named_parameters() if it.requires_grad]
    with torch.no_grad():
        for name, it in trained:
            if "lora_" in name:
                start = values(name.replace(".default", ""), tuple(it.shape))
                scale = 0.0 if case.get("dpo") and "lora_B" in name else 0.2
                it.copy_(start if "lora_A" in name else scale * start)
            elif "prompt_encoder" in name:
                it.copy_(values("prompt_embeddings", tuple(it.shape)))
    plain = [it for name, it in trained if case["method"] == "Full" and it.dim() < 2]
    decayed = [it for name, it in trained if not (case["method"] == "Full" and it.dim() < 2)]
    return [{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}]


def nll(model, texts):
    """Negative log-probabilities of the targets of each text."""
    length = max(len(it["tokens"]) for it in texts)
    pad = lambda numbers, filler: numbers + [filler] * (length - len(numbers))  # noqa: E731
    tokens = torch.tensor([pad(it["tokens"], 0) for it in texts])
    mask = torch.tensor([pad([1] * len(it["tokens"]), 0) for it in texts])
    targets = torch.tensor([pad(it["targets"], IGNORE) for it in texts])
    logits = model(input_ids=tokens, attention_mask=mask).logits.float()
    losses = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORE, reduction="none")
    return losses.sum(1), int((targets != IGNORE).sum())


def sft(model, texts):
    losses, count = nll(model, texts)
    return losses.sum() / count


def dpo(model, pairs, beta):
    answers = [it[side] for it in pairs for side in ("chosen", "rejected")]
    with torch.no_grad(), model.disable_adapter():
        base = -nll(model, answers)[0]
    rewards = beta * (-nll(model, answers)[0] - base)
    return -F.logsigmoid(rewards[0::2] - rewards[1::2]).mean()


def losses(case, texts, pairs):
    torch.manual_seed(0)
    model = BASES[case["base"]]()
    model.requires_grad_(True)
    if case["method"] == "LoRA":
        config = peft.LoraConfig(
            task_type="CAUSAL_LM", r=case["r"], lora_alpha=case["alpha"], target_modules=case["targets"],
            use_rslora=case.get("rslora", False),
        )
        model = peft.get_peft_model(model, config)
    elif case["method"] == "Prefix":
        config = peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=case["tokens"])
        model = peft.get_peft_model(model, config)
    model.train()
    groups = parameters(model, case)
    optimizer = torch.optim.AdamW(groups, lr=case["rate"])
    found = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = dpo(model, pairs[step], case["beta"]) if case.get("dpo") else sft(model, texts[step])
        loss.backward()
        torch.nn.utils.clip_grad_norm_([it for group in groups for it in group["params"]], CLIP)
        optimizer.step()
        found.append(loss.item())
    return found


if __name__ == "__main__":
    texts, pairs = data()
    cases = {name: {**case, "losses": losses(case, texts, pairs)} for name, case in CASES.items()}
    reference = {"texts": texts, "pairs": pairs, "cases": cases}
    path = pathlib.Path(__file__).with_name("reference.json")
    path.write_text(json.dumps(reference, separators=(",", ":")) + "\n")
