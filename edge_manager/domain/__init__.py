"""What the API means: fleets, plans, stages, deployments, jobs and who may do what.

Pure: time is an argument, nothing is read or written. What cannot be done is an `ApiError`, in AWS's words.
"""
