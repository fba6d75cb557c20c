"""Tokens per second of `transformers` and `peft`: train_peer.py MODEL.gguf METHOD TEXT TOKENS ROWS STEPS THREADS

Prints one JSON object. The first steps prepare kernels and are not counted.
"""
import json
import pathlib
import resource
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

WARM_UP = 3
model_file, method, text, tokens, rows, steps, threads = sys.argv[1:8]
tokens, rows, steps = int(tokens), int(rows), int(steps)
torch.set_num_threads(int(threads))
model_file = pathlib.Path(model_file)
load = {"gguf_file": model_file.name}
tokenizer = AutoTokenizer.from_pretrained(model_file.parent, **load)
model = AutoModelForCausalLM.from_pretrained(model_file.parent, dtype=torch.bfloat16, **load)
if method == "lora":
    targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules=targets))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
else:
    # Single-precision masters, products in half precision: what a full fine-tuning needs to learn.
    for parameter in model.parameters():
        parameter.data = parameter.data.float()
model.train()
optimizer = torch.optim.AdamW([it for it in model.parameters() if it.requires_grad], lr=2e-4)
ids = tokenizer(pathlib.Path(text).read_text(), return_tensors="pt").input_ids[0]
windows = [ids[start : start + tokens] for start in range(0, len(ids) - tokens + 1, tokens)]
losses, begun = [], 0.0
for step in range(steps + WARM_UP):
    if step == WARM_UP:
        begun = time.perf_counter()
    batch = torch.stack([windows[(step * rows + row) % len(windows)] for row in range(rows)])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(input_ids=batch, labels=batch).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
seconds = time.perf_counter() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"tokensPerSecond": steps * rows * tokens / seconds, "peakBytes": peak, "losses": losses}))
