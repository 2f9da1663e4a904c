"""The service, met as its users meet it: processes, plain boto3, real databases, a real S3."""
