"""The whole life of plans, driven at random: the real loop with real boto3 against the sandbox, on a clock that can jump.

Only the two networks are missing: objects live in `cluster.py`, and `aws.py` hands boto3's requests to the sandbox.
"""
