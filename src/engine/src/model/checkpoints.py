"""Writes checkpoints.json beside this file: settings and shapes of small networks as `transformers`
writes them, and the logits that it computes. The weights follow the formula of `values`, so the test
writes the same files.

    python3 -m venv v && v/bin/pip install torch==2.11.0 transformers==5.23.0 && v/bin/python checkpoints.py
"""

import json
import math
import pathlib

import torch
import transformers as t

TOKENS = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9]
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def values(name, shape, dtype):
    seed = sum(name.encode())
    waves = [((i * 37 + seed * 101) % 97) / 97 - 0.5 for i in range(math.prod(shape))]
    norm = len(shape) == 1 and name.endswith("weight")
    numbers = [1 + wave / 4 if norm else wave / 2 for wave in waves]
    return torch.tensor(numbers, dtype=torch.float32).reshape(shape).to(DTYPES[dtype]).float()


def case(config_class, model_class, dtype, tied, **more):
    config = config_class(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=tied,
        attn_implementation="eager", **more,
    )
    model = model_class(config).float().eval()
    # Tied weights are listed once, as they are saved.
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(values(name, tuple(parameter.shape), dtype))
        logits = model(torch.tensor([TOKENS])).logits[0, -1].tolist()
    config.architectures = [model_class.__name__]
    return {
        "config": json.loads(config.to_json_string()),
        "dtype": dtype,
        "shapes": {name: list(parameter.shape) for name, parameter in parameters.items()},
        "logits": logits,
    }


rope = {"rope_type": "default", "rope_theta": 1e6}
cases = {
    "llama": case(t.LlamaConfig, t.LlamaForCausalLM, "F32", False, rms_norm_eps=1e-5),
    "llama-tied": case(t.LlamaConfig, t.LlamaForCausalLM, "F16", True),
    "mistral": case(t.MistralConfig, t.MistralForCausalLM, "BF16", False, sliding_window=None, head_dim=16),
    "qwen2": case(t.Qwen2Config, t.Qwen2ForCausalLM, "F32", False, rope_parameters=rope),
    "qwen2-tied": case(t.Qwen2Config, t.Qwen2ForCausalLM, "BF16", True),
    "qwen3": case(t.Qwen3Config, t.Qwen3ForCausalLM, "F32", False, head_dim=12, rope_parameters=rope),
    "qwen3-tied": case(t.Qwen3Config, t.Qwen3ForCausalLM, "F16", True, head_dim=12),
}
path = pathlib.Path(__file__).with_name("checkpoints.json")
path.write_text(json.dumps(cases, indent=1) + "\n")
