"""The text of the help screen."""

from __future__ import annotations

from textual.reactive import reactive

from monitor.model import Liveness
from tui.glyphs import TONES
from tui.lines import Line, line, pad, wrap
from tui.widgets.scrolled_lines import Scrolled

Groups = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""(heading, its (keys, what they do))."""

KEYS: Groups = (
    ("everywhere", (
        ("?", "this page"),
        ("q", "quit; every run goes on"),
        ("esc", "clear a search, then back"),
        ("ctrl+p", "commands by name, themes, runs"),
        ("ctrl+c", "copy the text that was selected with the mouse; it quits nothing"),
        ("ctrl+z", "to the shell; fg comes back; ctrl+l: draw anew"),
        (",", "settings: theme, memory limit, alert channels"),
    )),
    ("board", (
        ("enter", "open the selected run"),
        ("j k, arrows", "move; page keys; g G or Home End: first, last"),
        ("/", "show only runs that match"),
        ("o O", "sort: the next order, the one before; or click a heading"),
        ("l", "show only what is live"),
        ("n", "launch a run"),
        ("a", "attach: watch a training that lanewatch did not start"),
        ("s", "stop the selected run; asks first"),
        ("R", "resume the selected run; asks first"),
        ("t", "the whole log of the selected run"),
        ("v V", "events of all runs; of the selected run"),
        ("space c", "mark runs; compare what is marked"),
    )),
    ("launch", (
        ("j k, tab", "move, as arrows do; g G or Home End: first, last"),
        ("left right", "the next of few choices, as h l and space"),
        ("enter", "change a field: type a part, or move; x: as the recipe says"),
        ("L", "launch; S: a smoke run first, the whole behind it"),
        ("c", "copy the command line; page keys: more of the checks"),
    )),
    ("run", (
        ("1-7, [ ]", "open a tab: overview, training, machine, checkpoints, log, events, recipe"),
        ("tab", "choose a graph; y: log scale, m: smoothing"),
        ("+ -", "zoom; left right: earlier, later; 0: the whole run"),
        ("j k, arrows", "scroll the log or the list; page keys; g G or Home End: top, follow"),
        ("/", "search the end of the log; n N: the next match, the one before"),
        ("t", "its whole log; V: its events; v: those of all runs"),
        ("c", "compare it with the runs that are marked on the board"),
        ("s", "stop the run, with or without saving; asks first"),
        ("K", "kill it; R: resume it; both ask first and say what is lost"),
        ("e", "merge and export its last whole checkpoint; asks first"),
        ("w", "bring back its keeper and watcher; a: acknowledge its alerts"),
        ("d", "diagnose: why it hangs, what to do"),
    )),
    ("diagnosis (d on a run)", (
        ("1-9", "do what stands beside that number; asks first and says what is lost"),
        ("d", "look again; n: native calls too, c: let a container look; both ask first"),
        ("j k, arrows", "scroll; space, page keys; g G or Home End"),
    )),
    ("log (t: of the run in front)", (
        ("F f", "follow, or hold; G > End: the end, and follow; g < Home: the top"),
        ("j k, arrows", "a line, as enter; space b, page keys: a page; d u: half; wheel"),
        ("/ ?", "search down or up, a regular expression; n N: the next, back"),
        ("&", "show only lines that match"),
        ("w", "wrap long lines; left right: move sideways"),
        ("[ ]", "the run's other logs"),
        ("c y", "copy the lines chosen by click and shift-click, or those shown"),
        ("s", "save what is shown of the whole log to a new file"),
        ("h", "this page; ? searches up, as in less"),
    )),
    ("compare", (
        ("x", "curves by iteration or by time; 1 2 3 tab: which graph"),
        ("b", "hold the others against the next run"),
        ("j k, arrows", "scroll; space, page keys; g G or Home End; left right: columns"),
        ("c y", "copy it all as Markdown"),
    )),
    ("events (v: of all runs, V: of the run in front)", (
        ("enter", "the log as it was at that moment; o: the run"),
        ("f, 1 2 3", "show all, warnings and urgent, urgent only; /: with a text"),
        ("r", "the run of the chosen event alone, or all runs again"),
        ("m", "all seen: the divider goes above the newest"),
        ("j k, arrows", "move; space, page keys; g G or Home End: newest, oldest"),
        ("t", "the log of the chosen event's run; c: compare it with what is marked"),
    )),
    ("settings (,)", (
        ("enter space", "put in force, and keep, what is under the cursor"),
        ("a", "add an alert channel: its URL, a name before it if you like"),
        ("t", "send a test to the alert channel under the cursor"),
        ("x", "remove it; asks first"),
        ("j k, tab", "move, as arrows do; g G or Home End: first, last"),
    )),
    ("pickers (launch, attach, commands)", (
        ("type", "a part of what you look for; up down, page keys: move"),
        ("enter", "take it; esc: leave it"),
    )),
)  # fmt: skip
CHANGING = frozenset({("board", "n"), ("board", "a"), ("board", "s"), ("board", "R")}) | {
    ("run", "s"), ("run", "K"), ("run", "e"), ("run", "w"),
}  # fmt: skip
"""(group, key) of what a view that is read-only has not."""
WHOLLY_CHANGING = ("launch", "settings")
"""Groups, by how their names begin, that such a view has not at all."""
MEANINGS = {
    Liveness.STARTING: "training has begun, no iteration yet, inside the limits",
    Liveness.WORKING: "a stage without iterations is getting on",
    Liveness.TRAINING: "iterations advance",
    Liveness.SAVING: "a checkpoint is being written",
    Liveness.LOG_STUCK: "the log is silent, but progress is proven elsewhere",
    Liveness.SLOW: "advancing at under half its own pace",
    Liveness.SUSPECT: "no progress for more than half the limit",
    Liveness.STALLED: "no progress past the limit, and the process lives",
    Liveness.FINISHED: "all stages are done",
    Liveness.FAILED: "it ended with an error; the cause is named",
    Liveness.STOPPED: "someone stopped it",
    Liveness.ENDED: "a process that lanewatch did not start is gone",
    Liveness.LOST: "cannot be observed; nothing is claimed",
}


class HelpText(Scrolled):
    """It is longer than a small terminal."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._top = 0
        self.groups: Groups = KEYS

    def begin_with(self, group: str, *, read_only: bool) -> None:
        """Show the keys of the screen one comes from first; *read_only*: not what changes a run."""
        of_here = [each for each in KEYS if each[0].startswith(group)] if group else []
        groups = [*of_here, *(each for each in KEYS if each not in of_here)]
        if read_only:
            groups = [each for each in groups if not each[0].startswith(WHOLLY_CHANGING)]
            groups = [
                (name, tuple(each for each in keys if (name, each[0]) not in CHANGING))
                for name, keys in groups
            ]
        self.groups = tuple(groups)
        self.update_lines()

    filter_text: reactive[str] = reactive("", repaint=False)
    """Only entries that hold it are shown, under their headings."""

    def watch_filter_text(self) -> None:
        self._top = 0
        self.update_lines()

    def all_lines(self, width: int) -> list[Line]:
        shown: list[Line] = []
        for group, keys in self.groups:
            found = [each for each in keys if self._fits(group, *each)]
            if found:
                shown.append(line(group, "strong"))
                for key, action in found:
                    shown += _entry(pad(f"  {key}", 16), "accent", action, width)
                shown.append(line())
        meanings = [each for each in MEANINGS.items() if self._fits("verdicts", *each)]
        if meanings:
            shown.append(line("verdicts", "strong"))
        for liveness, meaning in meanings:
            label = f"  {self.glyphs.verdict(liveness)} {liveness.value}"
            shown += _entry(pad(label, 16), TONES[liveness], meaning, width)
        return shown or [line("Nothing here holds that.", "muted")]

    def _fits(self, *texts: str) -> bool:
        said = " ".join(texts).casefold()
        return all(word in said for word in self.filter_text.casefold().split())


def _entry(label: str, tone: str, text: str, width: int) -> list[Line]:
    """A label and its text, wrapped beside it."""
    first, *rest = wrap(text, max(10, width - len(label)), 4) or [""]
    return [((label, tone), (first, "")), *(((" " * len(label) + each, ""),) for each in rest)]
