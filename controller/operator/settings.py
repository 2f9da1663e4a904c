"""The operator's settings: one frozen value from flags and environment.

Each field says all there is to know about it: its docstring is its help, its type how it is read, its name its flag and its
variable EDGEPLAN_<FLAG>; `Setting` holds what differs from that.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter

from controller.domain.spec import duration

_CLUSTER_ID = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_LEASE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_SHOWN = 80  # characters of a refused value: as many as tell which one it is


def valid_cluster_id(text: str) -> str:
    """A cluster id: a part of the ownership tag, whose parts are separated by slashes.

    Raises:
        ValueError: it could not be read back from a tag, or AWS would refuse the tag.

    """
    if not _CLUSTER_ID.fullmatch(text):
        raise ValueError(
            f"{_shown(text)} is not 1 to 63 letters and digits of ASCII with inner hyphens, dots and underscores"
        )
    return text


def valid_lease(text: str) -> str:
    """Namespace and name of a Lease.

    Raises:
        ValueError: it is not of the form `namespace/name`.

    """
    if not _LEASE.fullmatch(text):
        raise ValueError(f"{_shown(text)} is not of the form namespace/name")
    return text


@dataclass(frozen=True)
class Setting:
    """How a field differs from what its name and its type say about its flag."""

    flag: str | None = None
    """Name of a flag that may be repeated, each time with one part of the field."""
    metavar: str | None = None
    default: str | None = None
    """What the help says about the default instead of the value itself."""
    fallback: tuple[str, ...] = ()
    """Variables of others that give the default where our own is not set."""
    parse: Callable[[str], Any] | None = None


@dataclass(frozen=True)
class Settings:
    """Everything that can be set about the operator."""

    namespaces: Annotated[tuple[str, ...], Setting(flag="--namespace", metavar="NAME", default="all")] = ()
    """namespace to watch; may be repeated, and be a glob"""
    cluster_id: Annotated[str | None, Setting(parse=valid_cluster_id, default="uid of kube-system")] = None
    """identity of this cluster in ownership tags, at most 63 characters"""
    aws_region: Annotated[str | None, Setting(default="AWS_REGION", fallback=("AWS_REGION", "AWS_DEFAULT_REGION"))] = (
        None
    )
    """region of plans without spec.target.region"""
    aws_regions: Annotated[tuple[str, ...], Setting(default="--aws-region, else every region that the SDK knows")] = ()
    """regions, comma-separated, that are open in the operator's own account; the first is the default"""
    aws_extra_regions: Annotated[tuple[str, ...], Setting(default="none")] = ()
    """regions, comma-separated, that count as known beside those of the AWS SDK: newer ones, or those of another service"""
    aws_endpoint_url: Annotated[str | None, Setting(default="AWS_ENDPOINT_URL_SAGEMAKER, else AWS's own")] = None
    """URL of the SageMaker endpoint, such as that of a VPC"""
    aws_timeout: timedelta = timedelta(seconds=30)
    """how long one AWS call may take"""
    accounts_file: Path | None = None
    """YAML file of the accounts that spec.target.account may name"""
    own_account_file: Path | None = None
    """YAML file of the bounds of the operator's own account: enabled, namespaces, namespaceSelector, regions, observe, adopt, recreate, share"""
    concurrency: int = 32
    """objects worked on, and AWS calls per account and region, at the same time"""
    sweep_interval: timedelta = timedelta(seconds=60)
    """time between two looks for drift in AWS"""
    audit_interval: timedelta = timedelta(hours=1)
    """time in which every plan's tags are checked once, where audits-per-minute suffices"""
    audits_per_minute: int = 30
    """at most so many plans of an account and region have their tags checked in a minute, by two calls each"""
    settle: timedelta = timedelta(seconds=60)
    """how long AWS's reads may lag behind its writes: so long a NotFound after a create proves nothing"""
    lease: Annotated[
        str | None, Setting(metavar="NAMESPACE/NAME", parse=valid_lease, default="none: one operator alone")
    ] = None
    """Lease by which several operators agree on who acts; the others stand by"""
    shards: Annotated[int, Setting(parse=lambda text: _number(text, 1, 64))] = 1
    """into how many shards the objects are cut, each with a Lease of its own: as many operators can act at the same time"""
    shutdown_patience: timedelta = timedelta(seconds=45)
    """how long AWS calls under way may take to finish at shutdown"""
    watch_patience: timedelta = timedelta(minutes=5)
    """how long the API server may give no answer before the liveness probe fails"""
    liveness: Annotated[str | None, Setting(metavar="URL")] = None
    """serve the liveness probe there, such as http://0.0.0.0:8080/healthz"""
    metrics_port: Annotated[int, Setting(parse=lambda text: _number(text, 0, 65535), default="0: not served")] = 0
    """serve metrics in Prometheus' format on that port, at /metrics"""
    metrics_per_object: bool = False
    """tell conditions and devices of each object too, not only sums over all: a dozen series an object"""
    tracing: bool = False
    """send spans of reconciles and their calls by OTLP over HTTP, to where the OTEL_EXPORTER_OTLP_… variables say"""
    log_format: Literal["text", "json"] = "text"
    """form of the log's lines"""
    audit_log: Annotated[str | None, Setting(metavar="FILE")] = None
    """append a line of JSON for each call that changes AWS to that file, or with - write it to stdout"""
    verbose: bool = False
    """log the operator's own debug messages too"""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(use_attribute_docstrings=True)


@dataclass(frozen=True)
class Flag:
    """One field as a flag and a variable."""

    field: str
    name: str
    variable: str
    kind: Any
    setting: Setting
    default: Any
    help: str

    @property
    def told(self) -> str:
        """The help, with the default and the variable."""
        return f"{self.help} (default: {self.setting.default or _written(self.default)}; {self.variable})"

    @property
    def is_switch(self) -> bool:
        """Whether the flag takes no value."""
        return self.kind is bool

    @property
    def is_repeated(self) -> bool:
        """Whether the flag may be given several times."""
        return self.setting.flag is not None

    @property
    def metavar(self) -> str:
        """What the help shows for the value."""
        literal = "{" + ",".join(get_args(self.kind)) + "}" if get_origin(self.kind) is Literal else None
        return literal or self.setting.metavar or self.name.lstrip("-").upper().replace("-", "_")

    def value(self, given: Any) -> Any:
        """The field's value: of the flag, or else of the environment, or else the default.

        Raises:
            ValueError: it makes no sense; the message names flag or variable, and the value.

        """
        if isinstance(given, str):
            return self._read(self.name, given)
        if given is not None and given != ():
            return given
        for variable in (self.variable, *self.setting.fallback):
            if text := os.environ.get(variable):
                return self._read(variable, text)
        return self.default

    def _read(self, source: str, text: str) -> Any:
        try:
            return self._parse(text)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error

    def _parse(self, text: str) -> Any:
        if self.setting.parse is not None:
            return self.setting.parse(text)
        if get_origin(self.kind) is Literal:
            return _one_of(text, get_args(self.kind))
        return _PARSERS.get(self.kind, str)(text)


def flags() -> Iterator[Flag]:
    """The operator's flags; what none of them says, EDGEPLAN_<FLAG> in the environment may say."""
    told = TypeAdapter(Settings).json_schema()["properties"]
    hints = get_type_hints(Settings, include_extras=True)
    for each in fields(Settings):
        kind, *notes = get_args(hints[each.name]) if get_origin(hints[each.name]) is Annotated else (hints[each.name],)
        setting = next((note for note in notes if isinstance(note, Setting)), Setting())
        yield Flag(
            field=each.name,
            name=setting.flag or f"--{each.name.replace('_', '-')}",
            variable=f"EDGEPLAN_{each.name.upper()}",
            kind=get_args(kind)[0] if type(None) in get_args(kind) else kind,  # `X | None` is read as X
            setting=setting,
            default=each.default,
            help=told[each.name]["description"],
        )


def from_flags(given: Mapping[str, Any]) -> Settings:
    """The settings from flags, each as the text that was given or None, and from the environment.

    Raises:
        ValueError: a value makes no sense; the message names it, and its flag or variable.

    """
    return Settings(**{flag.field: flag.value(given.get(flag.field)) for flag in flags()})


def listed(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _length(text: str) -> timedelta:
    length = duration(text)
    if not length:
        raise ValueError(f"duration {text!r} must be longer than nothing")
    return length


def _positive(text: str) -> int:
    return _number(text, 1, 999_999)


def _number(text: str, least: int, most: int) -> int:
    if not re.fullmatch("[0-9]{1,6}", text) or not least <= int(text) <= most:
        raise ValueError(f"{_shown(text)} is not a number from {least} to {most}")
    return int(text)


def _switch(text: str) -> bool:
    return bool(_one_of(text.lower(), ("true", "false")) == "true")


def _one_of(text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise ValueError(f"{_shown(text)} is not one of {', '.join(choices)}")
    return text


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _written(default: Any) -> str:
    if isinstance(default, timedelta):
        seconds = int(default.total_seconds())
        return next(
            f"{seconds // size}{unit}" for size, unit in ((3600, "h"), (60, "m"), (1, "s")) if not seconds % size
        )
    return {None: "none", False: "no", (): "none"}.get(default, str(default))


_PARSERS: dict[Any, Callable[[str], Any]] = {
    timedelta: _length,
    int: _positive,
    bool: _switch,
    Path: Path,
    tuple[str, ...]: listed,
}
