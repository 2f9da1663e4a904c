"""SageMaker through boto3: calls, and which account and region an object may use. Translates, decides nothing."""
