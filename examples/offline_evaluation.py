"""How good would the lists have been? A notebook as a script: run it whole, or cell by cell (`# %%`) in an editor.

    python examples/offline_evaluation.py shop/events.csv --user customer --item sku --time time

Every event is first a question (was it on the list of ten?) and then a lesson, through the code that serves.
"""

# %% The record, and which column is which
from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

FILE, *COLUMNS = sys.argv[1:] or ["events.csv", "--user", "user_id", "--item", "item_id", "--time", "event_ts"]


def evaluate(*more: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "rec.cli", "evaluate", FILE, *COLUMNS, "--json", *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


# %% Test, then learn. Without the network it takes seconds; drop the option when you have minutes
found = evaluate("--no-network")
print(f"{found['scored']:,} events scored")

# %% The model beside each of the lines that it is made of; it should beat the best of them, beyond the interval
low, high = found["intervals"]["hr@10"]
print(f"{'model':<22}{found['model']['hr@10']:.3f}   (95 % of resampled shoppers: {low:.3f} to {high:.3f})")
for name, line in sorted(found["baselines"].items(), key=lambda each: -each[1]["hr@10"]):
    print(f"{name:<22}{line['hr@10']:.3f}")

# %% What learning while serving is worth: the same model, which stopped learning when the test began
print(f"{'frozen':<22}{found['frozen']['hr@10']:.3f}")
