"""`python -m benchmarks.screening`: what the name matcher finds on the real lists, and how fast.

Reads the OFAC and UN files from RISK_DATA_DIR. Entries are split in two by their number: thresholds
and weights were chosen on the tuning half (`--tuning`); what is printed and published comes from
the reporting half, with names, typos and ordinary people that the tuning never saw.
"""

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from benchmarks import measure
from benchmarks.name_variants import VARIANTS
from benchmarks.ordinary_names import REPORTING, TUNING, given_names, ordinary_names
from scoring.core.name_index import NameIndex
from scoring.core.screening import ListScreener, Qualifiers, find_parties
from scoring.core.spec import ScreeningSpec
from scoring.core.watchlist import ListedEntry, ListedName, pack
from scoring.watchlist_files import OFAC, OFAC_FILES, UN, parse_ofac, parse_un

THRESHOLDS = tuple(round(0.80 + 0.02 * i, 2) for i in range(10))
LEAST = THRESHOLDS[0]
REVIEW = 0.90
DATA = Path(os.environ.get("RISK_DATA_DIR", "../shared/data"))
ORDINARY = 10_000
SAMPLE = 3_000
BARS = {
    "exact": 0.999, "reordered": 0.999, "accents and case": 0.999, "one typo": 0.97,
    "middle name dropped": 0.95,
}  # fmt: skip
ORDINARY_BAR = 0.005
P99_BAR_US = 1000.0
Lists = list[tuple[str, str, Sequence[ListedEntry]]]


def read_lists(folder: Path) -> Lists:
    """The real lists as (name, digest, entries). Raises OSError where they are absent."""
    ofac = parse_ofac({name: (folder / name).read_bytes() for name in OFAC_FILES})
    un = parse_un((folder / "un_consolidated.xml").read_bytes())
    return [(name, pack(entries)[0], entries) for name, entries in ((OFAC, ofac), (UN, un))]


def names_of(lists: Lists, half: str) -> Iterator[tuple[ListedEntry, ListedName]]:
    """Every name, strong and weak, of one half of the entries."""
    for _, _, entries in lists:
        for entry in entries:
            if (crc32(entry.id.encode()) % 2 == 0) == (half == TUNING):
                for name in entry.names:
                    yield entry, name


def best_score(index: NameIndex, text: str, wanted: str) -> float:
    """The score with which the entry `wanted` is found; 0 when it is not."""
    found = find_parties(index, text, Qualifiers(), LEAST)
    return max((f.score for f in found if f.listed.entry.id == wanted), default=0.0)


def recall(index: NameIndex, lists: Lists, half: str, sample: int | None) -> dict[str, Any]:
    """Scores by variant: one for every name (or a sample of them) that has such a variant."""
    scores: dict[str, Any] = {}
    everyone = [pair for pair in names_of(lists, half) if not pair[1].weak]
    for number, (variant, make) in enumerate(VARIANTS.items()):
        rng = np.random.default_rng((5, number, half == REPORTING))
        order = rng.permutation(len(everyone))
        found = []
        for entry, name in (everyone[i] for i in order):
            text = make(name, rng)
            if text is not None and text.strip():
                found.append(best_score(index, text, entry.id))
            if sample is not None and len(found) >= sample:
                break
        scores[variant] = np.array(found)
    return scores


def best_scores(index: NameIndex, names: Sequence[str]) -> Any:
    """The best score of every name; 0 where nothing reaches the lowest threshold."""
    best = [
        max((f.score for f in find_parties(index, name, Qualifiers(), LEAST)), default=0.0)
        for name in names
    ]
    return np.array(best)


def ordinary_scores(index: NameIndex, half: str) -> Any:
    """The best score of every ordinary name."""
    return best_scores(index, ordinary_names(ORDINARY, half))


def latency(index: NameIndex, lists: Lists, half: str) -> dict[str, float]:
    """Microseconds of processor time of one screening of ordinary and of listed names.

    Cold is a name that was not screened before; again is one that the screener still remembers.
    """
    listed = [name.text for _, name in names_of(lists, half)][::20]
    screener = ListScreener(ScreeningSpec(name_field="name", review=REVIEW), index)
    found = {}
    for who, names in (("ordinary", ordinary_names(3000, half)), ("listed", listed)):
        for which, value in _timed(lambda n: find_parties(index, n, Qualifiers(), REVIEW), names):
            found[f"{who}, cold, {which}"] = value
        for name in names:
            screener.screen({"name": name})
        for which, value in _timed(lambda n: screener.screen({"name": n}), names):
            found[f"{who}, again, {which}"] = value
    return found


def _timed(act: Callable[[str], object], names: Sequence[str]) -> Iterator[tuple[str, float]]:
    for name in names[:50]:
        act(name)
    taken = []
    gc.collect()
    for name in names:
        # Of this thread: on a busy machine the clock on the wall measures the neighbours too.
        begun = time.thread_time_ns()
        act(name)
        taken.append((time.thread_time_ns() - begun) / 1000.0)
    for which in (50, 99):
        yield f"p{which} us", round(float(np.percentile(taken, which)), 1)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def run(half: str = REPORTING, sample: int | None = SAMPLE) -> dict[str, Any]:
    """Everything that is published, as plain numbers. Raises OSError without the real lists."""
    lists = read_lists(DATA / "ofac")
    gc.collect()
    before, begun = _resident_mb(), time.perf_counter()
    index = NameIndex(lists)
    built = time.perf_counter() - begun
    gc.collect()
    grown = _resident_mb() - before
    found = recall(index, lists, half, sample)
    people = ordinary_scores(index, half)
    return {
        "half": half,
        "machine": measure.machine(),
        "names": index.names,
        "build seconds": round(built, 2),
        "index MB": round(grown, 1),
        "rows": [_row(name, scores) for name, scores in found.items()]
        + [_row("ordinary names (hits)", people, digits=3)]
        + [_row("given names alone (hits)", best_scores(index, given_names()))],
        "latency": latency(index, lists, half),
    }


def _row(name: str, scores: Any, digits: int = 2) -> dict[str, Any]:
    shares = {f"{t:.2f}": round(100 * float(np.mean(scores >= t)), digits) for t in THRESHOLDS}
    return {"variant": name, "names": len(scores), **shares}


def table(found: dict[str, Any]) -> str:
    """The table by threshold, shares in percent."""
    columns = ("variant", "names", *(f"{t:.2f}" for t in THRESHOLDS))
    return str(
        measure.table(f"Found at a threshold, % ({found['half']} half)", found["rows"], columns)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tuning", action="store_true", help="The half that choices are made on.")
    parser.add_argument("--all", action="store_true", help="Every name instead of a sample.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    half = TUNING if options.tuning else REPORTING
    found = run(half, None if options.all else SAMPLE)
    print(table(found))
    print({key: found[key] for key in ("names", "build seconds", "index MB", "latency")})
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
