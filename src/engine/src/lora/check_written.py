"""Loads adapters that we wrote with `peft` and compares its logits with ours. Set up as for
reference.py, then:

    ATELIER_LORA_OUT=out cargo test -p atelier-engine --lib write_for_peft -- --ignored
    v/bin/python check_written.py out
"""

import json
import pathlib
import sys

import peft
import torch

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "model"))
from reference import llama, logits, qwen2  # noqa: E402

BASES = {"llama": llama, "qwen2": qwen2}

directories = sorted(path.parent for path in pathlib.Path(sys.argv[1]).glob("*/logits.json"))
assert directories, "nothing to check"
for directory in directories:
    ours = json.loads((directory / "logits.json").read_text())
    model = peft.PeftModel.from_pretrained(BASES[ours["base"]](), directory).eval()
    difference = (torch.tensor(logits(model)) - torch.tensor(ours["logits"])).abs().max().item()
    print(f"{directory.name}: {ours['base']}: largest difference {difference:.2e}")
    assert difference <= 1e-4
