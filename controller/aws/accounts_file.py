"""What the administrator writes: which accounts, regions and plans are open, and to which namespaces.

Two files of YAML: one maps the names that `spec.target.account` may have to accounts, the other is about the operator's own
account. What is wrong with either is one line that names file, field, value and what would be right.
"""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, ValidationInfo

from controller.aws.audience import LABEL, Audience, Labels, Named, form, refused, some
from controller.aws.sessions import unknown_region
from controller.domain.ownership import Reach, Rights
from controller.domain.resource import problem

OWN_ACCOUNT = "default"
"""Name of the operator's own account inside the operator; no account of the file may have it."""

_T = TypeVar("_T")


def _known_regions(regions: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """`info` has the regions that the administrator has added as its context."""
    unknown = [text for region in regions if (text := unknown_region(region, info.context or ()))]
    if unknown:
        raise refused("; ".join(unknown))
    return regions


def _not_our_own(name: str) -> str:
    if name == OWN_ACCOUNT:
        raise refused("the name of the operator's own account, which --own-account-file is about; choose another")
    return name


Regions = Annotated[tuple[str, ...], AfterValidator(some), AfterValidator(_known_regions)]
AccountName = Annotated[
    str, form(LABEL, "1 to 63 lowercase letters, digits and inner hyphens"), AfterValidator(_not_our_own)
]
RoleArn = Annotated[str, form(r"arn:aws[a-z-]*:iam::\d{12}:role/.+", "such as arn:aws:iam::111122223333:role/edgeplan")]
ExternalId = Annotated[str, form(r"[A-Za-z0-9_+=,.@:/-]{2,1224}", "2 to 1224 letters, digits and + = , . @ : / - _")]


class Grant(Named):
    """Which plans that their objects did not make some namespaces may reach for."""

    plans: Reach
    """How far they may reach."""


class Share(Named):
    """How much of an account's quota each of some namespaces may use."""

    plans: Annotated[int, Field(strict=True, ge=0, le=100_000)]
    """Plans that the objects of one of the namespaces may have in each region."""


class Bounds(Audience):
    """What is open in an account, and to whom: its own namespaces are those whose objects may use it."""

    observe: tuple[Grant, ...] = ()
    """Which plans may be observed; the first grant that includes the namespace holds."""
    adopt: tuple[Grant, ...] = ()
    """Which plans may be adopted; the first grant that includes the namespace holds."""
    recreate: Audience = Audience()
    """Whose plans may be deleted and created again under policy.replacement."""
    share: tuple[Share, ...] = ()
    """How many plans each namespace may have; the first entry that includes it holds, and without one there is no bound."""

    def open_to(self, namespace: str, labels: Labels) -> bool:
        """Whether objects of that namespace may use the account."""
        return self.includes(namespace, labels)

    def rights(self, namespace: str, labels: Labels) -> Rights:
        """What objects of that namespace may do."""
        default = Rights()
        return Rights(
            observe=_first(namespace, labels, self.observe, default.observe),
            adopt=_first(namespace, labels, self.adopt, default.adopt),
            recreate=self.recreate.includes(namespace, labels),
            share=next((share.plans for share in self.share if share.includes(namespace, labels)), None),
        )

    @property
    def selects(self) -> bool:
        """Whether anything depends on the labels of namespaces."""
        audiences: tuple[Audience, ...] = (self, *self.observe, *self.adopt, *self.share, self.recreate)
        return any(audience.namespace_selector is not None for audience in audiences)


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

    def open_to(self, namespace: str, labels: Labels) -> bool:
        """Whether objects of that namespace may use the account."""
        return self.enabled and super().open_to(namespace, labels)


def read_accounts(path: Path | None, extra_regions: Sequence[str] = ()) -> Mapping[str, Account]:
    """The accounts file, by name of the account; none without a file. `extra_regions` are known beside the SDK's.

    Raises:
        ValueError: the file is not of the form.

    """
    return {} if path is None else _read(path, TypeAdapter(dict[AccountName, Account]), "accounts file", extra_regions)


def read_own_account(
    path: Path | None, *, regions: Sequence[str] = (), region: str | None = None, extra_regions: Sequence[str] = ()
) -> OwnAccount:
    """The bounds of the operator's own account, from a file or, for its regions, from flags.

    `regions` are those of --aws-regions; without any, the default `region` is the only one that is open.

    Raises:
        ValueError: the file is not of the form, or contradicts the flags.

    """
    own = OwnAccount() if path is None else _read(path, TypeAdapter(OwnAccount), "own account file", extra_regions)
    if regions and own.regions is not None:
        raise ValueError(f"--aws-regions and regions in the own account file {path} say the same twice: drop one")
    opened = own.regions or tuple(regions) or ((region,) if region else None)
    unknown = [text for each in opened or () if (text := unknown_region(each, extra_regions))]
    if unknown:
        raise ValueError(f"--aws-region or --aws-regions: {'; '.join(unknown)}")
    if opened and region and region not in opened:
        raise ValueError(f"--aws-region {region} is not open in the operator's own account; open: {', '.join(opened)}")
    return own.model_copy(update={"regions": opened})


def _first(namespace: str, labels: Labels, grants: Sequence[Grant], default: Reach) -> Reach:
    return next((grant.plans for grant in grants if grant.includes(namespace, labels)), default)


def _read(path: Path, form: TypeAdapter[_T], what: str, extra_regions: Sequence[str]) -> _T:
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
        return form.validate_python({} if found is None else found, context=extra_regions)
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
