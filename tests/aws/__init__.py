"""The operator's way to AWS, against endpoints over HTTP: the sandbox, and some that answer what AWS never would."""
