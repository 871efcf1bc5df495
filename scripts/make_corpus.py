"""Write the demo's corpus: short questions of a patent strategist, each with its reasoning.

Made for this project, from the sentences below; the same seed always gives the same rows. The law
in it is invented where it is not arithmetic: it teaches the shape of an answer, nothing else.

    python scripts/make_corpus.py > runners/recipe/demo/corpus.jsonl
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import date, timedelta

ROWS = 240
SEED = 11

DEVICES = {
    "hinge": ["a leaf spring", "a tapered pin", "a detent ring", "a nylon bushing"],
    "valve": ["a ceramic seat", "a bellows seal", "a stepped stem", "a drain port"],
    "sensor": ["a shielded coil", "a glass window", "a heated tip", "a second receiver"],
    "pump": ["a split rotor", "a magnetic coupling", "an inlet screen", "a relief channel"],
    "lock": ["a floating bolt", "a sliding collar", "a spring plate", "a coded cam"],
    "lamp": ["a folded reflector", "a gel lens", "a thermal fuse", "a tilting base"],
    "drone": ["a folding arm", "a ducted rotor", "a quick release", "a tether reel"],
    "filter": ["a pleated core", "a bypass flap", "a charcoal layer", "a pressure tap"],
}
RIVALS = ["an older catalogue", "a rival's filing", "a conference paper", "an expired patent"]
OPENINGS = ["", "A client asks: ", "Quick check. ", "For the file: ", "Before the call: "]
DOUBTS = [
    "Let me check that once more.",
    "I should not skip a step here.",
    "First what is given, then what follows.",
    "Slowly, one point after the other.",
]

Pair = tuple[str, list[str], str]


def add_claims(r: random.Random) -> Pair:
    """Count claims and the fee for those over the free number."""
    independent, dependent, free = r.randint(1, 5), r.randint(4, 24), r.choice([10, 15, 20])
    fee, total = r.choice([40, 50, 80, 100]), independent + dependent
    extra = max(0, total - free)
    steps = [f"{independent} independent and {dependent} dependent claims make {total}."]
    if extra:
        steps += [
            f"{free} are free, so {extra} cost extra.",
            f"{extra} times {fee} is {extra * fee}.",
        ]
    else:
        steps.append(f"{free} are free and {total} is not more, so nothing is due.")
    question = (
        f"We have {independent} independent and {dependent} dependent claims. {free} are free, "
        f"each further one costs {fee}. What is due?"
    )
    return question, steps, f"{extra * fee} is due for {extra} extra claims."


def count_days(r: random.Random) -> Pair:
    """Find the last day of a period given in days."""
    start = date(2031, 1, 1) + timedelta(days=r.randint(0, 700))
    days, margin = r.choice([14, 30, 45, 60, 90]), r.choice([2, 3, 5, 7])
    end, draft = start + timedelta(days=days), start + timedelta(days=days - margin)
    steps = [
        f"The letter is dated {start}.",
        f"{days} days later is {end}.",
        f"With {margin} days in hand the draft must be ready on {draft}.",
    ]
    question = (
        f"A letter of {start} gives {days} days to answer and the client wants {margin} days in "
        "hand. When must the draft be ready?"
    )
    return question, steps, f"The draft must be ready on {draft}; the period ends on {end}."


def compare_features(r: random.Random) -> Pair:
    """Compare a claim's features with a document's."""
    device = r.choice(sorted(DEVICES))
    claimed = r.sample(DEVICES[device], r.randint(2, 4))
    shown = r.sample(DEVICES[device], r.randint(1, 3))
    rival = r.choice(RIVALS)
    new = [each for each in claimed if each not in shown]
    steps = [f"The claim asks for {' and '.join(claimed)}."]
    steps += [
        f"{each.capitalize()} is {'also' if each in shown else 'not'} in {rival}."
        for each in claimed
    ]
    answer = (
        f"The claim is new over {rival}, because of {' and '.join(new)}."
        if new
        else f"The claim is not new over {rival}; add a feature that it does not show."
    )
    question = (
        f"Our {device} claim needs {', '.join(claimed)}. In {rival} we find {', '.join(shown)}. "
        "Is the claim new?"
    )
    return question, steps, answer


def choose_route(r: random.Random) -> Pair:
    """Choose between two filing routes by cost."""
    countries, single, bundle = r.randint(2, 9), r.randint(8, 20) * 100, r.randint(30, 70) * 100
    each = r.randint(2, 6) * 100
    direct, joint = countries * single, bundle + countries * each
    better = "direct filings" if direct < joint else "the joint route"
    steps = [
        f"Direct: {countries} times {single} is {direct}.",
        f"Joint: {bundle} plus {countries} times {each} is {joint}.",
        f"The difference is {abs(direct - joint)}.",
    ]
    if r.random() < 0.5:
        steps.append("The joint route also moves most of the cost to a later year.")
    question = (
        f"{countries} countries. Direct filings cost {single} each; the joint route costs {bundle} "
        f"at once and {each} for each country later. Which is cheaper?"
    )
    return question, steps, f"Take {better}: it saves {abs(direct - joint)}."


def narrow_claim(r: random.Random) -> Pair:
    """Plan an amendment that keeps a fallback."""
    device = r.choice(sorted(DEVICES))
    first, second, third = r.sample(DEVICES[device], 3)
    rival = r.choice(RIVALS)
    steps = [
        f"The broad claim covers every {device} with {first}.",
        f"The examiner found {first} in {rival}, so the broad claim will not stand.",
        f"{second.capitalize()} is described but not found there; it is the least we must add.",
        f"{third.capitalize()} narrows more, so it is better kept in a dependent claim.",
        "Giving up both at once would leave nothing to trade in the next round.",
    ]
    if r.random() < 0.6:
        steps += [
            "The description names an advantage for the added part, so it supports the change.",
            "Nothing outside the text as filed is needed.",
            f"Competitors who leave out {second} escape; the client accepts that.",
        ]
    question = f"The examiner found {first} in {rival}. How do we amend the {device} claim?"
    answer = f"Add {second} to the main claim and keep {third} in a dependent claim as fallback."
    return question, steps, answer


def spend_budget(r: random.Random) -> Pair:
    """Rank filings under a budget."""
    device, other, third = r.sample(sorted(DEVICES), 3)
    costs = [r.randint(3, 12) * 1000 for _ in range(3)]
    values = [r.randint(1, 9) for _ in range(3)]
    names = [device, other, third]
    budget = sum(costs) - min(costs) + r.choice([0, 500])
    ranked = sorted(range(3), key=lambda i: (-values[i], costs[i]))
    steps, left, kept = [f"The budget is {budget}."], budget, []
    for i in ranked:
        fits = costs[i] <= left
        left -= costs[i] if fits else 0
        steps.append(
            f"The {names[i]} has value {values[i]} and costs {costs[i]}: "
            + (f"take it, {left} is left." if fits else f"too much for {left}, leave it.")
        )
        if fits:
            kept.append(names[i])
    parts = ", ".join(
        f"{n} (value {v}, cost {c})" for n, v, c in zip(names, values, costs, strict=True)
    )
    question = f"Budget {budget}. Families: {parts}. Most valuable first: which do we keep?"
    return question, steps, f"Keep the {' and the '.join(kept)}; {left} stays unspent."


MAKERS: list[Callable[[random.Random], Pair]] = [
    add_claims,
    count_days,
    compare_features,
    choose_route,
    narrow_claim,
    spend_budget,
]


def row(index: int, r: random.Random) -> dict[str, list[dict[str, str]]]:
    """Return one chat row: a question, then an answer after its reasoning."""
    question, steps, answer = MAKERS[index % len(MAKERS)](r)
    if r.random() < 0.3:
        steps.insert(r.randrange(len(steps)), r.choice(DOUBTS))
    question = r.choice(OPENINGS) + question
    content = f"<think>\n{' '.join(steps)}\n</think>\n\n{answer}"
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": content},
        ]
    }


def main() -> None:
    """Print the corpus."""
    r = random.Random(SEED)
    for index in range(ROWS):
        print(json.dumps(row(index, r), ensure_ascii=False))


if __name__ == "__main__":
    main()
