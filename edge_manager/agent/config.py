"""The configuration file: INI, as `edge-manager-agent.conf`. What makes no sense is refused in one line."""

from __future__ import annotations

import configparser
import ipaddress
import json
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.utils import is_valid_endpoint_url

from edge_manager.agent.errors import ConfigError
from edge_manager.agent.values import MAX_NAME, NAME, clean

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

REGION = re.compile(r"(?=.*[a-zA-Z])[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")  # what botocore takes
MEBIBYTE = 1 << 20
KEYS = frozenset({"endpoint", "region", "key-file", "ca-file"})
FIELDS = {
    "agent": KEYS
    | {"fleet", "device", "state-dir", "poll", "heartbeat", "longest-wait", "check", "check-timeout"}
    | {"patience", "keep-free"},
    "s3": KEYS,
}
STATE = "/var/lib/edge-manager-agent"


def _is_word(found: object) -> bool:
    """Whether something can be part of a signature's header."""
    return isinstance(found, str) and found.isascii() and found.isprintable() and found != "" and " " not in found


@dataclass(frozen=True)
class Endpoint:
    """Where and as whom to call; None: boto3's own settings (environment, shared files, instance roles)."""

    url: str | None
    region: str
    key_file: Path | None = None
    ca_file: Path | None = None

    def key(self) -> dict[str, str]:
        """The access key, as `edge-manager keys create` printed it; read again by each client, so it may be replaced."""
        if self.key_file is None:
            return {}
        try:
            found = json.loads(self.key_file.read_text(encoding="utf-8"))
            key = {"aws_access_key_id": found["AccessKeyId"], "aws_secret_access_key": found["SecretAccessKey"]}
            token = found.get("SessionToken")
            if not all(_is_word(each) for each in (*key.values(), token or "none")):
                raise TypeError("not words")  # noqa: TRY301
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            expected = "must be a readable file with the JSON that `edge-manager keys create` prints"
            raise ConfigError(f"key-file = {self.key_file}: {expected}") from None
        return {**key, "aws_session_token": token} if token else key


@dataclass(frozen=True)
class Config:
    """What the file says."""

    fleet: str
    device: str
    service: Endpoint
    s3: Endpoint
    folder: Path = Path(STATE)
    poll: float = 60.0
    heartbeat: float = 300.0
    longest_wait: float = 300.0
    check: tuple[str, ...] = ()
    check_timeout: float = 60.0
    patience: float = 3600.0
    keep_free: int = 64 * MEBIBYTE


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the agent."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="its INI file")
    parser.add_argument("--check-config", action="store_true", help="read the file, say what is wrong, and end")


def read(path: Path) -> Config:
    """The configuration in a file."""
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file, str(path))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not an INI file: {' '.join(str(error).split())}") from None
    try:
        return parse({section: dict(parser[section]) for section in parser.sections()})
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse(sections: Mapping[str, Mapping[str, str]]) -> Config:
    """The configuration in sections of fields."""
    for section, fields in sections.items():
        if section not in FIELDS:
            raise ConfigError(f"[{section}]: no such section; there are [agent] and [s3]")
        for name in fields:
            if name not in FIELDS[section]:
                known = ", ".join(sorted(FIELDS[section]))
                raise ConfigError(f"[{section}] {name} = {_shown(fields[name])}: no such field; there are {known}")
            if not " ".join(fields[name].split()).isprintable():
                raise ConfigError(f"[{section}] {name} = {_shown(fields[name])}: must be without control characters")
    agent, s3 = _Section("agent", sections.get("agent", {})), _Section("s3", sections.get("s3", {}))
    region = agent.required("region", "a region, such as eu-west-1; the device's key is made for it")
    service = _endpoint(agent, region)
    if service.url is None:
        raise agent.error("endpoint", "must be the URL of the service, such as https://edge.example.com")
    default = Config(agent.name("fleet"), agent.name("device"), service, _endpoint(s3, s3.text("region") or region))
    return Config(
        default.fleet,
        default.device,
        default.service,
        default.s3,
        folder=agent.path("state-dir") or default.folder,
        poll=agent.number("poll", default.poll, 0.05, 86_400),
        heartbeat=agent.number("heartbeat", default.heartbeat, 0.05, 86_400),
        longest_wait=agent.number("longest-wait", default.longest_wait, 0.05, 86_400),
        check=agent.command("check"),
        check_timeout=agent.number("check-timeout", default.check_timeout, 0.05, 86_400),
        patience=agent.number("patience", default.patience, 0, 30 * 86_400),
        keep_free=int(agent.number("keep-free", default.keep_free / MEBIBYTE, 0, 1 << 20, "MiB") * MEBIBYTE),
    )


@dataclass(frozen=True)
class _Section:
    section: str
    fields: Mapping[str, str]

    def error(self, name: str, expected: str) -> ConfigError:
        value = self.fields.get(name)
        said = "is missing" if value is None else f"= {_shown(value)}"
        return ConfigError(f"[{self.section}] {name} {said}: {expected}")

    def text(self, name: str) -> str | None:
        return self.fields.get(name, "").strip() or None

    def required(self, name: str, expected: str) -> str:
        value = self.text(name)
        if value is None:
            raise self.error(name, f"must be {expected}")
        return value

    def name(self, name: str) -> str:
        expected = f"1 to {MAX_NAME} letters, digits and hyphens, as registered with the service"
        value = self.required(name, expected)
        if len(value) > MAX_NAME or NAME.fullmatch(value.replace("_", "-")) is None:
            raise self.error(name, f"must be {expected}")
        return value

    def path(self, name: str) -> Path | None:
        value = self.text(name)
        if value is not None and not Path(value).is_absolute():
            raise self.error(name, "must be an absolute path")
        return None if value is None else Path(value)

    def number(self, name: str, default: float, least: float, most: float, unit: str = "seconds") -> float:
        value = self.text(name)
        try:
            number = default if value is None else float(value)
        except ValueError:
            number = most + 1
        if not least <= number <= most:
            raise self.error(name, f"must be a number of {unit} from {least:g} to {most:g}")
        return number

    def command(self, name: str) -> tuple[str, ...]:
        try:
            words = tuple(shlex.split(self.text(name) or ""))
        except ValueError as error:
            raise self.error(name, f"must be a command and its arguments: {error}") from None
        if words and not Path(words[0]).is_absolute():
            raise self.error(name, "must begin with the absolute path of a program")
        if words and not (Path(words[0]).is_file() and os.access(words[0], os.X_OK)):
            raise self.error(name, "must begin with a program that is there and that this user may run")
        return words


def _shown(value: str) -> str:
    return " ".join(clean(value).split())


def _is_url(url: str) -> bool:
    """Whether boto3 can call there; it says so only when it is asked for a client."""
    try:
        has_port = urlsplit(url).port != 0  # which is parsed here
        return has_port and url.isprintable() and " " not in url and (is_valid_endpoint_url(url) or _is_ipv6(url))
    except ValueError:
        return False


def _is_ipv6(url: str) -> bool:
    return isinstance(ipaddress.ip_address(urlsplit(url).hostname or ""), ipaddress.IPv6Address)


def _endpoint(section: _Section, region: str) -> Endpoint:
    url = section.text("endpoint")
    if url is not None:
        if not url.lower().startswith(("https://", "http://")):
            raise section.error("endpoint", "must be a URL that begins with https:// or http://")
        if not _is_url(url):
            raise section.error("endpoint", "must be a URL with the name or address of a host and, if any, a port")
    if not REGION.fullmatch(region):
        raise section.error("region", "must be a region, such as eu-west-1")
    endpoint = Endpoint(url, region, section.path("key-file"), section.path("ca-file"))
    if endpoint.ca_file is not None and not endpoint.ca_file.is_file():
        raise section.error("ca-file", "must be a file with the certificates to trust, in PEM")
    try:
        endpoint.key()
    except ConfigError:
        raise section.error("key-file", "must be a readable file with the JSON of `edge-manager keys create`") from None
    return endpoint
