"""The benchmark: the operator on real parts, beside a Go controller and other ways of using Kopf (`make bench`)."""
