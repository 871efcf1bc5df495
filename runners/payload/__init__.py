"""The code that runs inside a lane's container: standard library plus that lane's trainer library.

It is copied whole into a run folder and started from there, so it imports nothing of lanewatch but
its own siblings, and keeps to Python 3.10.
"""
