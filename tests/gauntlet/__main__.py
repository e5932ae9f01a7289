"""`make gauntlet`: plays the cases in two worker processes and prints one row each.

python -m tests.gauntlet                  all
python -m tests.gauntlet NAME…            those whose group or name contains one of the words
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.gauntlet.cases import all_cases
from tests.gauntlet.stage import cache_for, warm_up
from tests.gauntlet.table import HEAD, Row, play_one, totals
from tests.signals import ignored, outlive

WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*", metavar="NAME")
    parser.add_argument(
        "--quick", action="store_true", help="a case for each class of fault: those that `make test` plays"
    )
    asked = parser.parse_args()
    chosen = [
        case.name
        for group, case in all_cases()
        if (not asked.words or any(word in f"{group} {case.name}" for word in asked.words))
        and (case.quick or not asked.quick)
    ]
    if not chosen:
        sys.exit("no such case")
    began, deaf_to = time.monotonic(), ignored()
    outlive(deaf_to)
    with tempfile.TemporaryDirectory(prefix="gauntlet-") as name:
        folder = Path(name)
        cache = cache_for(folder)
        warm_up(folder / "warm up", cache)
        print(HEAD)
        # Fresh processes: a case makes its worker the parent of every orphan.
        context = multiprocessing.get_context("spawn")
        rows: list[Row] = []
        with ProcessPoolExecutor(WORKERS, context, outlive, (deaf_to,)) as pool:
            for row in pool.map(play_one, chosen, [folder] * len(chosen), [cache] * len(chosen)):
                print(row, flush=True)
                rows.append(row)
    print(totals(rows, time.monotonic() - began))
    sys.exit(any(row.wrong for row in rows))


if __name__ == "__main__":
    main()
