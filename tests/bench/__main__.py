"""`python -m tests.bench`: measure the operator; `ways`: other ways of using Kopf; `service`: the Edge Manager service."""

from __future__ import annotations

import sys

from tests.bench import scale, service, ways_main


def main() -> int:
    parts = {"service": service.main, "ways": ways_main.main}
    if sys.argv[1:2] and sys.argv[1] in parts:
        return parts[sys.argv[1]](sys.argv[2:])
    return scale.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
