"""Which namespaces the administrator means: by name, or by their labels as Kubernetes selects by them."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, model_validator
from pydantic_core import PydanticCustomError

from controller.domain.base import Model

EVERYBODY = "*"
LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
Labels = Mapping[str, str]


def refused(text: str) -> PydanticCustomError:
    """A refusal in those words."""
    return PydanticCustomError("refused", "{message}", {"message": text})


def form(pattern: str, words: str) -> AfterValidator:
    """Refuses other text than that of the pattern, in words."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise refused(f"must be {words}")
        return text

    return AfterValidator(check)


def some(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuses nothing at all."""
    if not parts:
        raise refused("at least one is needed")
    return parts


def _label_values(values: Any) -> Any:
    texts = values.values() if isinstance(values, Mapping) else values
    if wrong := [text for text in texts if not _LABEL_VALUE.fullmatch(text)]:
        raise refused(f"{wrong[0]!r} is no value of a label: 0 to 63 letters, digits and inner - _ .")
    return values


Namespace = Annotated[str, form(rf"{LABEL}|\*", 'the name of a namespace, or "*" for all; patterns are not known')]


class Requirement(Model):
    """One of a selector's matchExpressions."""

    key: str
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How it is compared."""
    values: Annotated[tuple[str, ...], AfterValidator(_label_values)] = ()
    """Values, for In and NotIn."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.operator in {"In", "NotIn"}) != bool(self.values):
            raise refused("In and NotIn need values, Exists and DoesNotExist have none")
        return self

    def admits(self, labels: Labels) -> bool:
        """Whether labels fulfil it; a label that is not there is in no list."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels


class Selector(Model):
    """A label selector as everywhere in Kubernetes: all that it says must hold, and an empty one selects all."""

    match_labels: Annotated[dict[str, str], AfterValidator(_label_values)] = {}  # noqa: RUF012 - pydantic copies it
    """Labels with their values."""
    match_expressions: tuple[Requirement, ...] = ()
    """Further requirements."""

    def selects(self, labels: Labels) -> bool:
        """Whether a namespace with those labels is meant."""
        named = all(labels.get(key) == value for key, value in self.match_labels.items())
        return named and all(requirement.admits(labels) for requirement in self.match_expressions)


class Audience(Model):
    """Some namespaces: those that are named, and those that the selector selects."""

    namespaces: tuple[Namespace, ...] | None = None
    """Names of namespaces; "*" is all."""
    namespace_selector: Selector | None = None
    """Selects namespaces by their labels."""

    @property
    def named(self) -> bool:
        """Whether it says anything."""
        return self.namespaces is not None or self.namespace_selector is not None

    def includes(self, namespace: str, labels: Labels) -> bool:
        """Whether a namespace of that name, with those labels, is meant; where nothing is said, all are."""
        if not self.named:
            return True
        names = self.namespaces or ()
        selector = self.namespace_selector
        return EVERYBODY in names or namespace in names or (selector is not None and selector.selects(labels))


class Named(Audience):
    """Some namespaces, which must be said."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.namespace_selector is None and not self.namespaces:
            raise refused("namespaces or namespaceSelector is needed")
        return self
