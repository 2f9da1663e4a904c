"""The operator on a real API server, with real boto3 over HTTP to the SageMaker sandbox."""
