"""A SageMaker that speaks AWS JSON over HTTP, for the demo and the tests: `server.Sandbox`, `client.SandboxClient`.

It knows botocore's service model and nothing of the operator, so it cannot share the operator's mistakes.
"""
