"""Writes theirs.json beside this file: adapters of the small networks that `peft` trained and saved, file by file as
it left them, and the logits that it computes with them. Set up as for reference.py.

    v/bin/python theirs.py
"""

import base64
import json
import pathlib
import sys
import tempfile

import peft
import torch

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from reference import ATTENTION, BASES, FEED_FORWARD, data, sft  # noqa: E402

# Enough for every number to leave its first value.
STEPS, RATE = 8, 2e-2
FILES = ["adapter_config.json", "adapter_model.safetensors"]
TOKENS = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9]
CASES = {
    "lora": ("llama", peft.LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    "rslora of all layers": (
        "qwen2",
        peft.LoraConfig(
            task_type="CAUSAL_LM", r=2, lora_alpha=3, use_rslora=True, lora_dropout=0.05,
            target_modules=ATTENTION + FEED_FORWARD,
        ),
    ),
    "other ranks": (
        "qwen3",
        peft.LoraConfig(
            task_type="CAUSAL_LM", r=2, lora_alpha=4, target_modules=["q_proj", "o_proj", "down_proj"],
            rank_pattern={"o_proj": 3}, alpha_pattern={"layers.1.mlp.down_proj": 9},
        ),
    ),
    "prefix": ("llama", peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)),
    "prefix of qwen2": ("qwen2", peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)),
}


def trained(base, config):
    torch.manual_seed(5)
    model = peft.get_peft_model(BASES[base](), config)
    # As if it was loaded from there.
    model.peft_config["default"].base_model_name_or_path = "base"
    optimizer = torch.optim.AdamW([it for it in model.parameters() if it.requires_grad], lr=RATE)
    for texts in data()[0][:STEPS]:
        optimizer.zero_grad()
        sft(model, texts).backward()
        optimizer.step()
    return model.eval()


def saved(base, config):
    model = trained(base, config)
    with tempfile.TemporaryDirectory() as directory:
        model.save_pretrained(directory)
        files = {name: (pathlib.Path(directory) / name).read_bytes() for name in FILES}
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([TOKENS])).logits[0]
    return {
        "base": base,
        "files": {name: base64.b64encode(content).decode() for name, content in files.items()},
        "tokens": TOKENS,
        "logits": logits.flatten().tolist(),
    }


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_name("theirs.json")
    path.write_text(json.dumps({name: saved(*case) for name, case in CASES.items()}, separators=(",", ":")) + "\n")
