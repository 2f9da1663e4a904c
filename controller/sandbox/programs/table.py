"""The programs that can be found or built, one row each: where the source is and how it is compiled."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

KUBERNETES: Final = "v1.37.2"
_HELM: Final = "v4.3.1"

# What `kube-apiserver --version` and the discovery documents say; a plain `go build` leaves them empty
# and clients such as Helm then refuse to compare versions.
_KUBERNETES_VERSION: Final = {
    "k8s.io/component-base/version.gitVersion": KUBERNETES,
    "k8s.io/component-base/version.gitMajor": KUBERNETES.removeprefix("v").split(".")[0],
    "k8s.io/component-base/version.gitMinor": KUBERNETES.split(".")[1],
    "k8s.io/component-base/version.gitTreeState": "clean",
}


@dataclass(frozen=True)
class Program:
    """One program: its name, the Go package that it is built from, and the module that pins the package."""

    name: str
    package: str
    module: str = "kubernetes"
    variables: dict[str, str] = field(default_factory=dict)
    on_path: bool = False
    """Whether any version from PATH will do, as for clients; a server has to be the pinned one."""

    @property
    def pins(self) -> Path:
        """The folder with the go.mod and go.sum that pin every line of source by checksum."""
        return Path(__file__).parent / self.module

    @property
    def linker_flags(self) -> str:
        """No symbol tables (a third of the size), and the version that the program reports."""
        return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in self.variables.items())])


PROGRAMS: Final[dict[str, Program]] = {
    program.name: program
    for program in (
        Program("etcd", "go.etcd.io/etcd/server/v3"),
        Program("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", variables=_KUBERNETES_VERSION),
        Program(
            "kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", variables=_KUBERNETES_VERSION
        ),
        Program("kubectl", "k8s.io/kubernetes/cmd/kubectl", variables=_KUBERNETES_VERSION, on_path=True),
        Program(
            "helm",
            "helm.sh/helm/v4/cmd/helm",
            module="helm",
            variables={"helm.sh/helm/v4/internal/version.version": _HELM},
            on_path=True,
        ),
    )
}
