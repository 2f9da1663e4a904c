"""The tests: `unit/` pure, `sandbox/` the SageMaker sandbox, `cluster/` the local Kubernetes, `integration/` all of it together."""
