"""SageMaker's edge deployment API: a service for real devices, and a sandbox with simulated ones for demo and tests.

`domain/` is what the API means and `api/` the wire; the service keeps things in `store/`, `sandbox/` in memory. It knows
botocore's service models and nothing of the operator, so it cannot share the operator's mistakes.
"""
