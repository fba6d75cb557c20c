"""Loads what we trained and wrote with `peft` and `transformers`, and compares their losses with ours. Set up as for
reference.py, then:

    ATELIER_TRAIN_OUT=out cargo test -p atelier-train --lib write_for_peft -- --ignored
    v/bin/python check_written.py out
"""

import json
import pathlib
import sys
import tempfile

import peft
import torch
import transformers

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from reference import BASES, nll  # noqa: E402

directories = sorted(path.parent for path in pathlib.Path(sys.argv[1]).glob("*/ours.json"))
assert directories, "nothing to check"
for directory in directories:
    ours = json.loads((directory / "ours.json").read_text())
    if ours["weights"]:
        model = transformers.AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager")
    else:
        base = BASES[ours["base"]]()
        model = peft.PeftModel.from_pretrained(base, directory)
        # Saved again it is the same, settings included.
        model.peft_config["default"].base_model_name_or_path = "base"
        with tempfile.TemporaryDirectory() as again:
            model.save_pretrained(again)
            read = lambda where: json.loads((pathlib.Path(where) / "adapter_config.json").read_text())  # noqa: E731
            theirs, mine = read(again), read(directory)
            for config in (theirs, mine):
                config.get("target_modules", []).sort()
            assert theirs == mine, (theirs, mine)
    model.eval()
    with torch.no_grad():
        theirs = nll(model, ours["texts"])[0].sum().item()
    print(f"{directory.name}: loss {theirs:.6f}, difference {abs(theirs - ours['loss']):.2e}")
    assert abs(theirs - ours["loss"]) <= 1e-3
