"""SageMaker's edge deployment API: a service for real devices, and a sandbox with simulated ones for demo and tests.

The service is `domain/` (what the API means), `store/` (where it is kept) and `api/` (the wire); `server.Sandbox` and
`client.SandboxClient` are the sandbox. It knows botocore's service models and nothing of the operator, so it cannot
share the operator's mistakes.
"""
