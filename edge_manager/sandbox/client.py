"""The control endpoint's client: the same methods for a sandbox in this process and for one that runs elsewhere."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

PREFIX = "/_sandbox"


class SandboxClient:
    """Looks at a sandbox and turns its dials."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = ClockControl(self)

    def overview(self) -> dict[str, Any]:
        """What the sandbox holds, its settings and its clock."""
        return dict(self.control("GET", "/"))

    def reset(self) -> None:
        """Back to how the sandbox was started."""
        self.control("POST", "/reset")

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change some settings (snake_case or camelCase) and return all of them."""
        return dict(self.control("PUT", "/settings", changes))

    def fault(self, operation: str = "*", **rule: Any) -> int:
        """Put a fault in force: error, message, status, times, probability, mode, seconds, name_contains, ..."""
        return int(self.control("POST", "/faults", {"operation": operation, **rule})["id"])

    def faults(self) -> list[dict[str, Any]]:
        """The faults in force, with how many calls each has met."""
        return list(self.control("GET", "/faults"))

    def clear_faults(self, number: int | None = None) -> None:
        """Remove one fault or all."""
        self.control("DELETE", "/faults" if number is None else f"/faults/{number}")

    def fail_devices(self, plan: str = "*", stage: str = "*", **failure: Any) -> None:
        """Let devices fail in stages started from now on: devices or percent, after (seconds), message."""
        self.control("POST", "/failures", {"plan": plan, "stage": stage, **failure})

    def clear_failures(self) -> None:
        """Let no more devices fail."""
        self.control("DELETE", "/failures")

    def counts(self) -> dict[str, int]:
        """Calls by operation."""
        return dict(self.control("GET", "/counts")["operations"])

    def counts_by_code(self) -> dict[str, dict[str, int]]:
        """Calls by operation and result code; `OK` is success."""
        return dict(self.control("GET", "/counts")["codes"])

    def reset_counts(self) -> None:
        """Count from zero, and empty the log of requests."""
        self.control("DELETE", "/counts")

    def requests(
        self, operation: str | None = None, *, name: str | None = None, since: float | None = None
    ) -> list[dict[str, Any]]:
        """The latest calls, oldest first; `since` is on the sandbox's clock."""
        return list(self.control("GET", "/requests", operation=operation, name=name, since=since))

    def plans(self, account: str | None = None, region: str | None = None) -> list[str]:
        """The names of all plans, or of those in one account or region."""
        return list(self.control("GET", "/plans", account=account, region=region))

    def plan(self, name: str, account: str | None = None, region: str | None = None) -> dict[str, Any]:
        """A plan as AWS describes it, all stages, with Tags (a mapping), Account and Region; LookupError if none."""
        return dict(self.control("GET", f"/plans/{quote(name, safe='')}", account=account, region=region))

    def seed_fleet(
        self,
        name: str,
        devices: int,
        template: str | None = None,
        account: str | None = None,
        region: str | None = None,
    ) -> int:
        """Add devices to a fleet and return how many it has; `template` knows {fleet} and {number}."""
        body = {"name": name, "devices": devices, "template": template, "account": account, "region": region}
        return int(self.control("POST", "/fleets", body)["devices"])

    def control(self, method: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> Any:
        """One call of the control endpoint; a refusal is a ValueError, something missing a LookupError."""
        parts = urlsplit(self.url)
        wanted = urlencode({key: value for key, value in query.items() if value is not None})
        connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=30)
        try:
            connection.request(
                method,
                f"{PREFIX}{path}?{wanted}",
                body=None if body is None else json.dumps(body),
                headers={"Content-Type": "application/json"},
            )
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status == 404:  # noqa: PLR2004
            raise LookupError(answer["error"])
        if response.status >= 400:  # noqa: PLR2004
            raise ValueError(answer["error"])
        return answer


class ClockControl:
    """The sandbox's clock."""

    def __init__(self, client: SandboxClient) -> None:
        self._client = client

    def now(self) -> float:
        """Seconds since the epoch, as the sandbox sees them."""
        return float(self._client.control("GET", "/clock")["now"])

    def manual(self) -> None:
        """Stand still until advanced."""
        self.speed(0)

    def real(self) -> None:
        """Go on at the wall clock's pace."""
        self.speed(1)

    def speed(self, factor: float) -> None:
        """Go on at so many times the wall clock's pace."""
        self._client.control("PUT", "/clock", {"speed": factor})

    def advance(self, seconds: float) -> None:
        """Jump ahead."""
        self._client.control("PUT", "/clock", {"advance": seconds})
