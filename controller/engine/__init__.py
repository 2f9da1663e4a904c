"""Runs the domain: the loop that makes the calls an attempt asks for, the queue, the index, the quota queues, the sweep.

Nothing here knows Kopf, boto3 or Kubernetes: `ports.py` says what is needed of them.
"""
