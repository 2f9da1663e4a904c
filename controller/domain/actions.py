"""What can be done to AWS, as values: one AWS call each. They read alike in log, event, diff and test."""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.domain.spec import ModelConfig, Stage


@dataclass(frozen=True)
class CreatePlan:
    """CreateEdgeDeploymentPlan."""

    name: str
    fleet: str
    models: tuple[ModelConfig, ...]
    stages: tuple[Stage, ...]
    tags: Mapping[str, str]

    def __str__(self) -> str:
        stages = ", ".join(stage.stage_name for stage in self.stages) or "no stages"
        return f"CreatePlan({self.name} on fleet {self.fleet}: {stages})"


@dataclass(frozen=True)
class DeletePlan:
    """DeleteEdgeDeploymentPlan."""

    name: str

    def __str__(self) -> str:
        return f"DeletePlan({self.name})"


@dataclass(frozen=True)
class CreateStages:
    """CreateEdgeDeploymentStage: AWS appends the stages, in this order."""

    plan: str
    stages: tuple[Stage, ...]

    def __str__(self) -> str:
        return f"CreateStages({', '.join(stage.stage_name for stage in self.stages)})"


@dataclass(frozen=True)
class DeleteStage:
    """DeleteEdgeDeploymentStage."""

    plan: str
    stage: str

    def __str__(self) -> str:
        return f"DeleteStage({self.stage})"


@dataclass(frozen=True)
class StartStage:
    """StartEdgeDeploymentStage."""

    plan: str
    stage: str

    def __str__(self) -> str:
        return f"StartStage({self.stage})"


@dataclass(frozen=True)
class StopStage:
    """StopEdgeDeploymentStage."""

    plan: str
    stage: str

    def __str__(self) -> str:
        return f"StopStage({self.stage})"


@dataclass(frozen=True)
class AddTags:
    """AddTags: sets these keys, leaves all others."""

    arn: str
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"AddTags({', '.join(f'{key}={value}' for key, value in self.tags.items())})"


@dataclass(frozen=True)
class DeleteTags:
    """DeleteTags."""

    arn: str
    keys: tuple[str, ...]

    def __str__(self) -> str:
        return f"DeleteTags({', '.join(self.keys)})"


Action = CreatePlan | DeletePlan | CreateStages | DeleteStage | StartStage | StopStage | AddTags | DeleteTags
