"""Rehearsed faults: a small real trainer misbehaves for real, and the real watcher judges it.

The rule: nothing is faked for the judge. Its clock alone runs faster (`monitor.probes.clock.RATE`),
so that every limit keeps its true value and a night passes in a minute.
"""
