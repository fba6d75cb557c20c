"""Writes reference.json beside this file: what `peft` saves for adapters of the small networks of
../model/reference.py, and the logits that it computes with them. The adapters' values follow the
same formula, by their name in the file. The order of keys in a header is that of the file.

    python3 -m venv v && v/bin/pip install torch==2.11.0 transformers==5.23.0 peft==0.21.2 && v/bin/python reference.py
"""

import json
import pathlib
import sys
import tempfile

import peft
import torch

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "model"))
from reference import llama, logits, qwen2, values  # noqa: E402

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
FEED_FORWARD = ["gate_proj", "up_proj", "down_proj"]
CASES = {
    "llama lora r=4": ("llama", dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    "llama rslora r=8": (
        "llama",
        dict(r=8, lora_alpha=16, use_rslora=True, target_modules=ATTENTION + FEED_FORWARD, lora_dropout=0.1),
    ),
    "qwen2 lora r=8, other ranks and scales": (
        "qwen2",
        dict(
            r=8, lora_alpha=12, target_modules=[*ATTENTION, "down_proj"],
            rank_pattern={"layers.1.mlp.down_proj": 3, "k_proj": 2},
            alpha_pattern={"v_proj": 32, "model.layers.0.self_attn.o_proj": 5},
        ),
    ),
    "qwen2 rslora r=4, one layer": (
        "qwen2",
        dict(r=4, lora_alpha=4, use_rslora=True, target_modules=FEED_FORWARD, layers_to_transform=[1]),
    ),
}
BASES = {"llama": llama, "qwen2": qwen2}


def header(path):
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size])


def reference(base, settings):
    config = peft.LoraConfig(task_type="CAUSAL_LM", base_model_name_or_path="base", **settings)
    model = peft.get_peft_model(BASES[base](), config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(values(name.replace(".default", ""), tuple(parameter.shape)))
    with tempfile.TemporaryDirectory() as directory:
        model.peft_config["default"].base_model_name_or_path = "base"
        model.save_pretrained(directory)
        directory = pathlib.Path(directory)
        saved = json.loads((directory / "adapter_config.json").read_text())
        # A set, in any order.
        saved["target_modules"].sort()
        return {
            "base": base,
            "config": saved,
            "header": header(directory / "adapter_model.safetensors"),
            "logits": logits(model),
        }


if __name__ == "__main__":
    references = {name: reference(*case) for name, case in CASES.items()}
    path = pathlib.Path(__file__).with_name("reference.json")
    path.write_text(json.dumps(references, indent=1) + "\n")
