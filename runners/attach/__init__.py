"""`attach`: find a trainer that lanewatch did not start, and watch it (a *foreign* run)."""
