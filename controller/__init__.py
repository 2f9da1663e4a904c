"""The edgeplan operator: an EdgeDeploymentPlan object as the source of truth for an AWS SageMaker edge deployment plan.

Read `reconciler.py` first: observe -> decide -> apply -> summarize. `domain/` decides, `adapters/` call out.
"""
