"""Make the labelled traces beside this file: `python tests/traces/make_traces.py [NAME …]`.

Each says what happens, when the trouble begins, which verdict must come by when, and which must
not come at all. Nights are drawn by tests/integration/night.py with fixed seeds; `h200-*` are
recordings of real GPUs (recorded/), turned into traces. The label, not the judge, says what is
right: a trace that the judge fails is a fault of the judge, until the label is shown to be wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "integration"), str(HERE)]

import scenes  # noqa: E402 - after the path
from labels import SIMULATED, TRACES  # noqa: E402 - as above

from monitor.trace import VERSION, TraceHeader  # noqa: E402 - as above
from monitor.trace_lines import TraceLines, dump, header_line, known_of, patch_of  # noqa: E402 - as above

FIGURES_S = 25.0


def lines_of(name: str) -> Iterator[str]:
    """The lines of one trace."""
    made = TRACES[name]
    label: dict[str, Any] = {"what": made.what, "source": made.source}
    if made.fault_at is not None:
        label["fault_at"] = made.fault_at
    label |= {"expect": list(made.expect), "forbid": list(made.forbid)}
    header = TraceHeader(trace=VERSION, run=name, boot_id="boot", limits=made.limits, label=label)
    yield dump(header_line(header))
    lines, known, written_s = TraceLines(header), dict[str, Any](), 0.0
    for frame in made.frames():
        frame = replace(frame, subject=replace(frame.subject, run=name))
        patch = patch_of(known, known_of(frame))
        soon = frame.at_s - written_s < FIGURES_S and frame.last_look_s is None
        if soon and made.source == SIMULATED and _figures_alone(patch):
            continue
        known, written_s = known_of(frame), frame.at_s
        yield dump(lines.line(frame))


def _figures_alone(patch: dict[str, Any]) -> bool:
    """Power and CPU time alone are worth a line each half minute, but in a recording."""
    if not set(patch) <= {"process", "machine"}:
        return False
    process, machine = patch.get("process", {}), patch.get("machine", {})
    if process is None or machine is None or machine.get("gpus", {}) is None:
        return False
    gpus = machine.get("gpus", {}).values()
    return (
        set(process) <= {"cpu_s"}
        and set(machine) <= {"gpus"}
        and all(set(gpu or {"lost"}) <= {"power_w"} for gpu in gpus)
    )


def main(names: list[str]) -> None:
    """Write the traces *names*, all without any."""
    if not names:
        for old in HERE.glob("*.jsonl"):
            old.unlink()
    for name in names or TRACES:
        (HERE / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines_of(name)))


scenes.add_all()

if __name__ == "__main__":
    main(sys.argv[1:])
