"""What the administrator writes: which accounts, regions and plans are open, and to which namespaces.

Two files of YAML: one maps the names that `spec.target.account` may have to accounts, the other is about the operator's own
account. What is wrong with either is one line that names file, field, value and what would be right.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from controller.aws.sessions import known_regions
from controller.domain.base import Model
from controller.domain.ownership import Reach, Rights
from controller.domain.resource import problem

OWN_ACCOUNT = "default"
"""Name of the operator's own account inside the operator; no account of the file may have it."""
EVERYBODY = "*"

_T = TypeVar("_T")


def _refused(text: str) -> PydanticCustomError:
    return PydanticCustomError("refused", "{message}", {"message": text})


def _form(pattern: str, words: str) -> AfterValidator:
    """Refuses other text than that of the pattern, in words."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise _refused(f"must be {words}")
        return text

    return AfterValidator(check)


def _some(parts: tuple[str, ...]) -> tuple[str, ...]:
    if not parts:
        raise _refused("at least one is needed")
    return parts


def _known_regions(regions: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [region for region in regions if region not in known_regions()]
    if unknown:
        raise _refused(f"{', '.join(unknown)}: not a region that the AWS SDK knows, such as eu-west-1")
    return regions


def _not_our_own(name: str) -> str:
    if name == OWN_ACCOUNT:
        raise _refused("the name of the operator's own account, which --own-account-file is about; choose another")
    return name


_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
Regions = Annotated[tuple[str, ...], AfterValidator(_some), AfterValidator(_known_regions)]
Namespace = Annotated[str, _form(rf"{_LABEL}|\*", 'the name of a namespace, or "*" for all; patterns are not known')]
AccountName = Annotated[
    str, _form(_LABEL, "1 to 63 lowercase letters, digits and inner hyphens"), AfterValidator(_not_our_own)
]
RoleArn = Annotated[
    str, _form(r"arn:aws[a-z-]*:iam::\d{12}:role/.+", "such as arn:aws:iam::111122223333:role/edgeplan")
]
ExternalId = Annotated[str, _form(r"[\w+=,.@:/-]{2,1224}", "2 to 1224 letters, digits and + = , . @ : / - _")]


class Grant(Model):
    """Which plans that their objects did not make some namespaces may reach for."""

    namespaces: Annotated[tuple[Namespace, ...], AfterValidator(_some)]
    """Namespaces that it is for; "*" is all."""
    plans: Reach
    """How far they may reach."""


class Bounds(Model):
    """What is open in an account, and to whom."""

    namespaces: tuple[Namespace, ...] = (EVERYBODY,)
    """Namespaces whose objects may use the account; "*" is all."""
    observe: tuple[Grant, ...] = ()
    """Which plans may be observed; the first grant that names the namespace holds."""
    adopt: tuple[Grant, ...] = ()
    """Which plans may be adopted; the first grant that names the namespace holds."""

    def open_to(self, namespace: str) -> bool:
        """Whether objects of that namespace may use the account."""
        return _named(namespace, self.namespaces)

    def rights(self, namespace: str) -> Rights:
        """How far objects of that namespace may reach."""
        default = Rights()
        return Rights(
            observe=_reach(namespace, self.observe, default.observe),
            adopt=_reach(namespace, self.adopt, default.adopt),
        )


class Account(Bounds):
    """One entry of the accounts file."""

    role_arn: RoleArn
    """Role to assume."""
    external_id: ExternalId | None = None
    """What the role's trust policy wants for `sts:ExternalId`."""
    session_tags: bool = False
    """Whether each namespace calls with a session of its own, tagged with namespace and cluster."""
    regions: Regions
    """Regions that plans may live in; the first is the default."""

    @property
    def id(self) -> str:
        """The account's number."""
        return self.role_arn.split(":")[4]


class OwnAccount(Bounds):
    """The operator's own account: that of the credentials which it finds."""

    enabled: bool = True
    """False: no object may use it."""
    regions: Regions | None = None
    """Regions that plans may live in. None: all that the AWS SDK knows."""

    def open_to(self, namespace: str) -> bool:
        """Whether objects of that namespace may use the account."""
        return self.enabled and super().open_to(namespace)


def read_accounts(path: Path | None) -> Mapping[str, Account]:
    """The accounts file, by name of the account; none without a file.

    Raises:
        ValueError: the file is not of the form.

    """
    return {} if path is None else _read(path, TypeAdapter(dict[AccountName, Account]), "accounts file")


def read_own_account(path: Path | None, *, regions: Sequence[str] = (), region: str | None = None) -> OwnAccount:
    """The bounds of the operator's own account, from a file or, for its regions, from flags.

    `regions` are those of --aws-regions; without any, the default `region` is the only one that is open.

    Raises:
        ValueError: the file is not of the form, or contradicts the flags.

    """
    own = OwnAccount() if path is None else _read(path, TypeAdapter(OwnAccount), "own account file")
    if regions and own.regions is not None:
        raise ValueError(f"--aws-regions and regions in the own account file {path} say the same twice: drop one")
    opened = own.regions or tuple(regions) or ((region,) if region else None)
    unknown = sorted(set(opened or ()) - known_regions())
    if unknown:
        raise ValueError(f"--aws-region or --aws-regions: {', '.join(unknown)}: not a region that the AWS SDK knows")
    if opened and region and region not in opened:
        raise ValueError(f"--aws-region {region} is not open in the operator's own account; open: {', '.join(opened)}")
    return own.model_copy(update={"regions": opened})


def _named(namespace: str, namespaces: Sequence[str]) -> bool:
    return EVERYBODY in namespaces or namespace in namespaces


def _reach(namespace: str, grants: Sequence[Grant], default: Reach) -> Reach:
    return next((grant.plans for grant in grants if _named(namespace, grant.namespaces)), default)


def _read(path: Path, form: TypeAdapter[_T], what: str) -> _T:
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
        return form.validate_python({} if found is None else found)
    except ValidationError as error:
        # Keys of a mapping are of pydantic's making; paths start below the file itself.
        problems = [": ".join(problem(each, root="")) for each in error.errors()]
        text = "; ".join(each.lstrip(".: ").replace(".[key]", "") for each in problems)
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
    except UnicodeDecodeError:
        text = "it is not UTF-8 text"
    except OSError as error:
        text = error.strerror or str(error)
    raise ValueError(f"{what} {path}: {text}")


class _Loader(yaml.SafeLoader):
    """A name that comes twice is refused: the second entry would silently replace the first one's bounds."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [key.value for key, _ in node.value]
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        if twice:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: {', '.join(twice)} comes twice")
        return super().construct_mapping(node, deep)
