"""Writes reference.json beside this file: embeddings of all-MiniLM-L6-v2 by `sentence-transformers`, and
scores of a small cross-encoder by `transformers`, whose weights follow the formula of `values`, so the
test writes the same files.

    python3 -m venv v && v/bin/pip install torch==2.11.0 transformers==5.23.0 sentence-transformers==6.2.0
    v/bin/python reference.py DIRECTORY_OF_MINILM
"""

import json
import math
import pathlib
import sys

import sentence_transformers
import torch
import transformers as t

TEXTS = [
    "",
    "Hello.",
    "The quick brown fox jumps over the lazy dog.",
    "A man is eating food. A man is eating a piece of bread.",
    "Zażółć gęślą jaźń – 東京は日本の首都です。 Ünïcödé ✓ 🦊",
    "def add(a, b):\n    return a + b  # [SEP] [MASK]",
    # Longer than the 256 tokens that the model reads.
    " ".join(f"Sentence number {i} speaks of lighthouses, storms and ships." for i in range(60)),
]
# Pairs of token ids between marks, as the tokenizer of a cross-encoder gives them.
PAIRS = [([5, 6, 7], [8, 9]), ([5], [6, 7, 8, 9, 10, 11, 12, 13]), ([20, 21, 22, 23], [24]), ([30], [31])]
BEGIN, END = 1, 2


def values(name, shape):
    seed = sum(name.encode())
    waves = [((i * 37 + seed * 101) % 97) / 97 - 0.5 for i in range(math.prod(shape))]
    norm = name.endswith("LayerNorm.weight")
    numbers = [1 + wave / 4 if norm else wave / 2 for wave in waves]
    return torch.tensor(numbers, dtype=torch.float32).reshape(shape)


def cross_encoder():
    config = t.BertConfig(
        vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=32, num_labels=1, attn_implementation="eager",
    )
    model = t.BertForSequenceClassification(config).float().eval()
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(values(name, tuple(parameter.shape)))
        logits = []
        for first, second in PAIRS:
            tokens = [BEGIN, *first, END, *second, END]
            types = [0] * (len(first) + 2) + [1] * (len(second) + 1)
            output = model(input_ids=torch.tensor([tokens]), token_type_ids=torch.tensor([types]))
            logits.append(output.logits[0, 0].item())
    config.architectures = ["BertForSequenceClassification"]
    return {
        "config": json.loads(config.to_json_string()),
        "shapes": {name: list(parameter.shape) for name, parameter in parameters.items()},
        "pairs": PAIRS,
        "logits": logits,
    }


model = sentence_transformers.SentenceTransformer(sys.argv[1], device="cpu")
reference = {
    "texts": TEXTS,
    "tokens": [len(model.tokenizer(text, truncation=True, max_length=256)["input_ids"]) for text in TEXTS],
    # Five digits are enough to tell a cosine of 0.9999.
    "embeddings": [[round(number, 5) for number in row.tolist()] for row in model.encode(TEXTS)],
    "cross_encoder": cross_encoder(),
}
path = pathlib.Path(__file__).with_name("reference.json")
path.write_text(json.dumps(reference) + "\n")
