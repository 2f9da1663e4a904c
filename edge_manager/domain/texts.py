"""Which text can be kept and sent on, and how much of what others wrote is repeated."""

from __future__ import annotations

import re

UNFIT = re.compile("[\0\ud800-\udfff]")  # PostgreSQL keeps no U+0000, UTF-8 has no half of a surrogate pair
LONGEST_REASON = 1024  # characters of what a device or a job gives as a reason
LONGEST_QUOTE = 256  # characters of a request's values in refusals and in the audit log


def is_fit(text: str) -> bool:
    """Whether every database and every client takes the text."""
    return UNFIT.search(text) is None


def shortened(text: str, longest: int) -> str:
    """The beginning of a text, fit to be kept; an ellipsis says that there was more."""
    fit = UNFIT.sub("\ufffd", text[: longest + 1])
    return fit if len(fit) <= longest else f"{fit[: longest - 1]}…"
