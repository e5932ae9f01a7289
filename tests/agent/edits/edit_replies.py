"""Replies and files for the tests of edits."""

from __future__ import annotations

EDITABLE = ("experiment.py", "plot.py", "notes.txt")

EXPERIMENT = '''\
"""Fits a line."""
import argparse
import json

import numpy as np


class Model:
    """A line."""

    def __init__(self, lr=0.1):
        self.lr = lr
        self.w = 0.0

    def step(self, x, y):
        error = self.w * x - y
        self.w -= self.lr * (error * x).mean()
        return float((error ** 2).mean())


def train(steps):
    rng = np.random.default_rng(0)
    x = rng.normal(size=100)
    model = Model()
    for step in range(steps):
        loss = model.step(x, 3 * x)
    return loss


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out_dir")
    args = parser.parse_args()
    with open(f"{args.out_dir}/final_info.json", "w") as file:
        json.dump({"loss": train(10)}, file)
'''
PLOT = "import json\n\nprint(json.dumps({}))\n"
FILES = {"experiment.py": EXPERIMENT, "plot.py": PLOT}


def block(search: str, new: str, name: str | None = "experiment.py", language: str = "python") -> str:
    """A SEARCH/REPLACE block as the recorded sessions write it. Texts are given with a line feed at their end."""
    above = f"{name}\n" if name else ""
    return f"{above}```{language}\n<<<<<<< SEARCH\n{search}=======\n{new}>>>>>>> REPLACE\n```\n"


LR_BLOCK = block("    def __init__(self, lr=0.1):\n", "    def __init__(self, lr=0.01):\n")
W_BLOCK = block("        self.w = 0.0\n", "        self.w = 0.0\n        self.v = 0.0  \n")

REALISTIC = f"""\
Let me plan the runs:

1. Run 1: a smaller learning rate
   - `lr` from 0.1 to 0.01
2. Run 2: momentum

Here are the changes:

{LR_BLOCK}
{W_BLOCK}
Now the plot (which reads `final_info.json`):

**plot.py**
```python
<<<<<<< SEARCH
print(json.dumps({{}}))
=======
print("α →", json.dumps({{}}))
>>>>>>> REPLACE
```

notes.txt
```
<<<<<<< SEARCH
=======
# Run 1
A smaller learning rate.
>>>>>>> REPLACE
```

To run it:

```bash
python experiment.py --out_dir=run_1
```

We can then go on with run 2.
"""
