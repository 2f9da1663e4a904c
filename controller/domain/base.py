"""What every model of the resource shares: frozen, camelCase on the wire, unknown fields refused, rules in one place.

A `Rule` is written once and enforced twice: as CEL by the API server (through the generated CRD) and as Python by
`edgeplan validate` and by the operator's own door. A table test holds each pair together on the real API server.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

SHARED = AfterValidator(lru_cache(maxsize=4096)(lambda value: value))
"""Keeps one of values that are equal, where many objects have the same: half of what the stages of a plan take."""
_GIVEN: dict[frozenset[str], set[str]] = {}


@dataclass(frozen=True)
class Rule:
    """One cross-field rule of a model.

    `field` is the path below the model in the API server's spelling (".tags"), "" for the model itself; `cel` is the
    expression for `x-kubernetes-validations`; `holds` is the same rule over the parsed model. `values` is a CEL expression
    for what the API server adds to the message: what is written.
    """

    field: str
    cel: str
    message: str
    holds: Callable[[Any], bool]
    values: str = ""


class Model(BaseModel):
    """A frozen value with camelCase names on the wire. Attribute docstrings become the CRD's descriptions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    def model_post_init(self, _context: Any) -> None:
        """Share the set of the names that were given: one of its own for each value was half of all memory of a plan."""
        given = self.__pydantic_fields_set__  # never changed: the value is frozen, and copies make their own
        object.__setattr__(self, "__pydantic_fields_set__", _GIVEN.setdefault(frozenset(given), given))

    def wire(self) -> dict[str, Any]:
        """The value as JSON-ready camelCase, without what is unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class RuledModel(Model):
    """A value with rules between its fields."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        broken = [rule for rule in self.rules if not rule.holds(self)]
        if broken:
            raise ValidationError.from_exception_data(
                type(self).__name__,
                [
                    InitErrorDetails(
                        type=PydanticCustomError("rule", "{message}", {"message": rule.message}),
                        loc=tuple(part for part in rule.field.split(".") if part),
                        input=self.wire(),
                    )
                    for rule in broken
                ],
            )
        return self
