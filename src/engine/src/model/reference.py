"""Writes reference.json beside this file: logits of small networks by `transformers`, whose weights
follow the formula of `weights::tests::tensor`, named as in GGUF files.

    python3 -m venv v && v/bin/pip install torch==2.11.0 transformers==5.23.0 && v/bin/python reference.py
"""

import json
import math
import pathlib

import torch
import transformers

TOKENS = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9]
HEADS, KV_HEADS, LAYERS, HIDDEN, FEED_FORWARD, VOCABULARY = 4, 2, 2, 32, 48, 64
NAMES = {
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.q_proj.bias": "attn_q.bias",
    "self_attn.k_proj.bias": "attn_k.bias",
    "self_attn.v_proj.bias": "attn_v.bias",
    "self_attn.q_norm.weight": "attn_q_norm.weight",
    "self_attn.k_norm.weight": "attn_k_norm.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}


def gguf_name(name):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{NAMES[rest]}"


def values(name, shape):
    seed = sum(name.encode())
    waves = [((i * 37 + seed * 101) % 97) / 97 - 0.5 for i in range(math.prod(shape))]
    norm = len(shape) == 1 and name.endswith("weight")
    numbers = [1 + wave / 4 if norm else wave / 2 for wave in waves]
    return torch.tensor(numbers, dtype=torch.float32).reshape(shape)


def unpermuted(weight, heads):
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def network(config_class, model_class, permuted, **more):
    config = config_class(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=FEED_FORWARD, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, rms_norm_eps=1e-5, max_position_embeddings=128,
        tie_word_embeddings=True, attn_implementation="eager",
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, **more,
    )
    model = model_class(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            stored = gguf_name(name)
            weight = values(stored, tuple(parameter.shape))
            if permuted and stored.endswith(("attn_q.weight", "attn_k.weight")):
                weight = unpermuted(weight, HEADS if stored.endswith("q.weight") else KV_HEADS)
            parameter.copy_(weight)
    return model


def logits(model):
    with torch.no_grad():
        return model(torch.tensor([TOKENS])).logits[0, -1].tolist()


def llama():
    return network(transformers.LlamaConfig, transformers.LlamaForCausalLM, True)


def qwen2():
    return network(transformers.Qwen2Config, transformers.Qwen2ForCausalLM, False)


def mistral():
    return network(transformers.MistralConfig, transformers.MistralForCausalLM, True, sliding_window=None)


def qwen3():
    return network(transformers.Qwen3Config, transformers.Qwen3ForCausalLM, False, head_dim=12)


if __name__ == "__main__":
    references = {
        "LlamaForCausalLM": logits(llama()),
        "MistralForCausalLM": logits(mistral()),
        "Qwen2ForCausalLM": logits(qwen2()),
        "Qwen3ForCausalLM": logits(qwen3()),
    }
    path = pathlib.Path(__file__).with_name("reference.json")
    path.write_text(json.dumps(references, indent=1) + "\n")
