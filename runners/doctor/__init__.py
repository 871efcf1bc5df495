"""`lanewatch doctor`: what would go wrong with a launch, before it is one.

`facts` are what was seen, `checks` and `landmines` judge them (both pure), `probes` look, and
`examine` puts the three together.
"""
