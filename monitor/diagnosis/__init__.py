"""Where a run hangs and why: looked at from the outside, concluded by pure functions."""
