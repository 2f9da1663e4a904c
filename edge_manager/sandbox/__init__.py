"""The API with simulated devices, in memory: what demo and tests run the operator against.

It can do what real fleets do seldom and never on demand: faults, lag, quotas, devices that fail, a clock to turn.
"""
