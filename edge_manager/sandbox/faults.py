"""Trouble on demand: rules that make calls fail, vanish or wait."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt
from pydantic.alias_generators import to_camel


class Fault(BaseModel):
    """A rule: which calls it meets, how often, and what becomes of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    operation: str = Field("*", description="operation that it meets; `*`: every one, STS included")
    name_contains: str | None = Field(None, description="only calls about a resource with this in its name or ARN")
    account: str | None = Field(None, description="only calls of this account")
    region: str | None = Field(None, description="only calls to this region")
    mode: Literal["error", "drop_before", "drop_after", "slow", "hang", "late", "rubbish"] = Field(
        "error", description="what becomes of the call, see below"
    )
    error: str = Field("InternalFailure", description="AWS's error code")
    message: str | None = Field(None, description="null: AWS's words for that error")
    status: int | None = Field(
        None, ge=200, le=599, description="HTTP status; null: AWS's for that error, 200 for rubbish"
    )
    body: Literal["html", "empty", "half"] = Field("html", description="what rubbish is made of")
    seconds: NonNegativeFloat = Field(
        0, description="wall-clock seconds to wait first, in any mode but `late`, which does the work so much later"
    )
    times: PositiveInt | None = Field(None, description="calls to meet; null: all of them")
    probability: Annotated[float, Field(ge=0, le=1, description="share of matching calls to meet")] = 1

    def meets(self, operation: str, name: str, account: str, region: str) -> bool:
        """Whether a call is one of those that the rule is about."""
        return (
            self.operation in ("*", operation)
            and (self.name_contains is None or self.name_contains in name)
            and self.account in (None, account)
            and self.region in (None, region)
        )


@dataclass
class Faults:
    """The rules in force; the first that meets a call decides it."""

    rules: dict[int, Fault] = field(default_factory=dict)
    met: dict[int, int] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311  a repeatable coin
    _next: int = 1

    def add(self, fault: Fault) -> int:
        """Put a rule in force; the number removes it again."""
        number, self._next = self._next, self._next + 1
        self.rules[number], self.met[number] = fault, 0
        return number

    def remove(self, number: int | None = None) -> None:
        """Remove one rule or all."""
        for each in list(self.rules) if number is None else [number]:
            self.rules.pop(each, None)
            self.met.pop(each, None)

    def meet(self, operation: str, name: str, account: str, region: str) -> Fault | None:
        """The rule that a call runs into, counted against its `times`."""
        for number, fault in self.rules.items():
            if not fault.meets(operation, name, account, region):
                continue
            if fault.times is not None and self.met[number] >= fault.times:
                continue
            if fault.probability < 1 and self.chance.random() >= fault.probability:
                continue
            self.met[number] += 1
            return fault
        return None
