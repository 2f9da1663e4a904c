"""The programs that can be found or built, one row each: where the source is and how it is compiled."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

KUBERNETES: Final = "v1.37.2"
_HELM: Final = "v4.3.1"
_ARGO_CD: Final = "v3.5.3"

# What `kube-apiserver --version` and the discovery documents say; a plain `go build` leaves them empty
# and clients such as Helm then refuse to compare versions.
_KUBERNETES_VERSION: Final = {
    "k8s.io/component-base/version.gitVersion": KUBERNETES,
    "k8s.io/component-base/version.gitMajor": KUBERNETES.removeprefix("v").split(".")[0],
    "k8s.io/component-base/version.gitMinor": KUBERNETES.split(".")[1],
    "k8s.io/component-base/version.gitTreeState": "clean",
}

# A quarter less work for the compiler (kube-apiserver: 640 CPU-seconds, not 860): no debug information, and no inlining
# in Kubernetes' own packages, most of which are generated. apimachinery and everything below keep their inlining, else
# every start of the API server would cost a third more.
_PLAIN: Final = ("all=-dwarf=false",)
_KUBERNETES_FLAGS: Final = (*_PLAIN, "k8s.io/...=-l -dwarf=false", "k8s.io/apimachinery/...=-dwarf=false")


@dataclass(frozen=True)
class Program:
    """One program: its name, the Go package that it is built from, and the module that pins the package."""

    name: str
    package: str
    module: str = "kubernetes"
    variables: dict[str, str] = field(default_factory=dict)
    compiler_flags: tuple[str, ...] = _PLAIN
    """`pattern=flags` for Go's compiler; of several that match a package the last holds."""
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


def _kubernetes(name: str, *, on_path: bool = False) -> Program:
    return Program(
        name,
        f"k8s.io/kubernetes/cmd/{name}",
        variables=_KUBERNETES_VERSION,
        compiler_flags=_KUBERNETES_FLAGS,
        on_path=on_path,
    )


PROGRAMS: Final[dict[str, Program]] = {
    program.name: program
    for program in (
        Program("etcd", "go.etcd.io/etcd/server/v3"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kubectl", on_path=True),
        Program(
            "helm",
            "helm.sh/helm/v4/cmd/helm",
            module="helm",
            variables={"helm.sh/helm/v4/internal/version.version": _HELM},
            on_path=True,
        ),
        Program(  # 12 minutes of one processor: only tests/argocd needs it, and skips without it
            "argocd",
            "github.com/argoproj/argo-cd/v3/cmd",
            module="argocd",
            variables={"github.com/argoproj/argo-cd/v3/common.version": _ARGO_CD},
        ),
    )
}
