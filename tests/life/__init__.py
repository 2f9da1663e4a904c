"""The whole life of plans, driven at random: the real loop and queue with real boto3 against the sandbox, without waiting.

Only the two networks and the passing of time are missing: objects live in `cluster.py`, `wire.py` hands boto3's requests
to the sandbox, and `virtual.py` is an event loop whose time goes on where the test says so. `troubles.py` says what the
world does to the operator, `witness.py` and `verdict.py` what must hold all the same.
"""
