"""The operator: makes a Kubernetes object the source of truth for an AWS SageMaker edge deployment plan.

Read `engine/reconciler.py` first, the loop, then `domain/`, which decides; `aws/` and `cluster/` call out.
"""
