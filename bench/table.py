"""Print the kept results, or only the figures that are held against a budget (--budgets)."""

from __future__ import annotations

import argparse
import json

from measure import RESULTS, line_of


def main() -> None:
    """Print each result file; exit 0 whatever was missed: timing is for people to judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budgets", action="store_true")
    options = parser.parse_args()
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text())
        load, machine = result["load_1min"], result["machine"]
        commit = result["versions"].get("commit", "unknown")
        print(f"\n{result['subject']}, {result['date']}, commit {commit}")
        print(f"{machine['cores']} x {machine['cpu']}, load {load['min']:.1f} to {load['max']:.1f}")
        for figure in result["figures"]:
            if "budget" in figure or not options.budgets:
                print(line_of(figure))


if __name__ == "__main__":
    main()
