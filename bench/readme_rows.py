"""Print the README's rows on the screens from results/tui.json, and when they were measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from measure import RESULTS

Figures = Mapping[str, Mapping[str, Any]]
X, UNKNOWN = "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"
RUN, BOARD = "run screen", "board screen"
PEERS = ("glances", "htop", "btop", "nvitop", "less, the live log", "toolong, the live log")
"""As they are named in the result; those that did not run there are left out."""


def main() -> None:
    """Print a Markdown table; a figure that was not measured is a dash."""
    result = json.loads((RESULTS / "tui.json").read_text())
    figures = {each["name"]: each for each in result["figures"]}
    print("| what | measured | the budget we set | beside it |\n|---|---|---|---|")
    for row in _rows(figures, _night_hours(figures)):
        print(f"| {' | '.join(row)} |")
    print()
    for name, about in result.get("scenes", {}).items():
        load = about["load_1min"]
        failed = f"; NOT MEASURED TO ITS END: {about['failed']}" if "failed" in about else ""
        print(
            f"{name}: {about['date']}, commit {about['commit']}, load {load['min']:.1f} to "
            f"{load['max']:.1f}, {about['seconds']} s{failed}"
        )
    print(f"peers: {', '.join(f'{name} {what}' for name, what in result['peers'].items())}")


def _rows(figures: Figures, night: str) -> list[tuple[str, str, str, str]]:
    peers = [f"{name} {_held(figures, name)}" for name in PEERS if f"{name}, CPU" in figures]
    rows = [
        (f"TUI, 160{X}48, {what}", _held(figures, f"{name}, 160x48"), f"1 %, {traffic}, 55 MiB", "")
        for what, name, traffic in (
            ("a run, finished", f"{RUN}, finished", "400 B/s"),
            ("the board, finished", f"{BOARD}, finished", "400 B/s"),
            ("a run, live, seconds an iteration", f"{RUN}, live but slow", "400 B/s"),
            ("a run, live, some iterations a second", f"{RUN}, live", "2.5 kB/s"),
            ("four live graphs", f"{RUN}, live, four graphs", "2.5 kB/s"),
        )
    ]
    rows[3] = (*rows[3][:3], "; ".join(peers))
    small = ", ".join(
        _figure(figures, f"{RUN}, {state}, 80x24, to the terminal")
        for state in ("finished", "live but slow", "live", "live, four graphs")
    )
    key = "key press to screen, live, four graphs"
    ratio = "first paint, {} / empty app, CPU"
    many = "board of 1000 runs"
    return [
        *rows,
        (f"TUI, 80{X}24, a run: finished, slow, live, four graphs", small, "", ""),
        (
            "key to screen, four live graphs",
            f"p95 {_figure(figures, f'{key}, p95')}, median {_figure(figures, key)}",
            "p95 50 ms",
            "",
        ),
        (
            f"a run's screen after {night} simulated hours",
            f"{_figure(figures, f'run screen after {night} simulated hours, PSS more')} more",
            "5 MiB more",
            "",
        ),
        (
            "first paint, CPU, board / one run",
            f"{_figure(figures, ratio.format('board, frame'))} / "
            f"{_figure(figures, ratio.format('run screen, frame'))} an empty Textual app",
            f"1.2 {X}",
            f"until all runs / all of the run is read, too: "
            f"{_figure(figures, ratio.format('board, run shown'))} / "
            f"{_figure(figures, ratio.format('run screen, all shown'))}; a run's verdict after "
            f"{_figure(figures, ratio.format('run screen, verdict shown'))}",
        ),
        (
            "`ssh`, 100 ms away, until a live run's verdict is readable",
            _figure(figures, "ssh to verdict readable, 100 ms away"),
            "1.5 s",
            f"`printf` instead {_figure(figures, 'ssh to the output of printf, 100 ms away')}; "
            f"the whole screen {_figure(figures, 'ssh to the whole screen, 100 ms away')}",
        ),
        (
            "board of 1,000 runs until all are listed",
            f"{_figure(figures, f'{many} until all are listed, wall')}, the newest after "
            f"{_figure(figures, f'{many} until the newest are shown, wall')}; "
            f"then {_figure(figures, f'{many}, CPU')}",
            "1 s, 2 %",
            "",
        ),
    ]


def _night_hours(figures: Figures) -> str:
    name = next((each for each in figures if each.endswith("simulated hours, PSS more")), "")
    return name.removeprefix("run screen after ").partition(" ")[0] or "12"


def _held(figures: Figures, name: str) -> str:
    """CPU, traffic and PSS of one screen."""
    kinds = ("CPU", "to the terminal", "PSS")
    return ", ".join(_figure(figures, f"{name}, {kind}") for kind in kinds)


def _figure(figures: Figures, name: str) -> str:
    """Median with least and most; bold where a budget was missed."""
    figure = figures.get(name)
    if figure is None:
        return UNKNOWN
    unit = {"% core": " %", "x": f" {X}"}.get(figure["unit"], f" {figure['unit']}")
    middle, least, most = (f"{figure[key]:.3g}" for key in ("median", "min", "max"))
    if figure["median"] >= 1000:
        middle, least, most = (f"{figure[key]:.0f}" for key in ("median", "min", "max"))
    text = f"{middle}{unit}" + (f" ({least} to {most})" if least != most else "")
    return text if figure.get("met", True) else f"**{text}** (missed)"


if __name__ == "__main__":
    main()
