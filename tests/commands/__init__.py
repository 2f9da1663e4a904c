"""`edgeplan diff` and `edgeplan export`: the real command, real boto3 over HTTP to the sandbox."""
