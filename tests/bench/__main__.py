"""`python -m tests.bench`: measure the operator.

`ways`: other ways of using Kopf beside it; `shards`: several operators beside one; `memory`: what it remembers of a plan;
`service`: the Edge Manager service; `plot`: a picture of what was measured.
"""

from __future__ import annotations

import sys

from tests.bench import memory, plot, scale, service, shards, ways_main


def main() -> int:
    parts = {
        "memory": memory.main,
        "plot": plot.main,
        "service": service.main,
        "shards": shards.main,
        "ways": ways_main.main,
    }
    if sys.argv[1:2] and sys.argv[1] in parts:
        return parts[sys.argv[1]](sys.argv[2:])
    return scale.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
