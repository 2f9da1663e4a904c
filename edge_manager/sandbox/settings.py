"""What can be turned while the sandbox runs, with the values that it starts with."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic.alias_generators import to_camel

from edge_manager.domain.rules import Rules
from edge_manager.domain.scope import Scope
from edge_manager.sandbox.history import MAX_LAG


class Settings(BaseModel):
    """The sandbox's dials. Times are in seconds, on the sandbox's clock unless stated otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    quota: NonNegativeInt | None = Field(1000, description="plans per account and region; null: no limit")
    quotas: dict[str, NonNegativeInt] = Field(
        default_factory=dict, description="quota of single scopes, keyed `account/region`"
    )
    stages_per_plan: PositiveInt = Field(10, description="stages that a plan may have")
    tags_per_resource: PositiveInt = Field(50, description="tags that a resource may have")

    latency: NonNegativeFloat = Field(0, description="wall-clock seconds before every answer")
    latencies: dict[str, NonNegativeFloat] = Field(default_factory=dict, description="latency of single operations")
    rate: PositiveFloat | None = Field(None, description="calls a wall-clock second per account and region")
    burst: PositiveInt | None = Field(None, description="calls that may come at once; null: one second's worth")
    describe_lag: NonNegativeFloat = Field(
        0, le=MAX_LAG, description="DescribeEdgeDeploymentPlan answers with the plan as it was so long ago"
    )
    list_lag: NonNegativeFloat = Field(
        0, le=MAX_LAG, description="ListEdgeDeploymentPlans answers with the plans as they were so long ago"
    )
    page_size: PositiveInt | None = Field(None, description="most items that any page has, whatever was asked for")

    duplicate_code: Literal["ValidationException", "ResourceInUse", "ConflictException"] = Field(
        "ValidationException", description="answer to a second create of a plan name"
    )
    quota_before_name: bool = Field(
        default=False, description="a second create of a plan name while the quota is used up is refused for quota"
    )
    missing_code: Literal["ResourceNotFound", "ValidationException"] = Field(
        "ResourceNotFound", description="answer of every call but Describe for a plan or stage that is not there"
    )
    strict_references: bool = Field(
        default=False, description="refuse unknown fleets, devices and jobs instead of making them up"
    )
    default_devices_per_fleet: NonNegativeInt = Field(10, description="devices of a fleet that is made up")
    canary_devices_per_fleet: NonNegativeInt = Field(2, description="how many of those have `canary` in their name")

    create_duration: NonNegativeFloat = Field(0, description="CREATING to READYTODEPLOY")
    start_duration: NonNegativeFloat = Field(1, description="STARTING to INPROGRESS")
    deploy_duration_per_stage: NonNegativeFloat = Field(10, description="INPROGRESS to DEPLOYED or FAILED")
    stop_duration: NonNegativeFloat = Field(1, description="STOPPING to STOPPED")
    packaging_duration: NonNegativeFloat = Field(
        0, description="INPROGRESS to COMPLETED of a packaging or compilation job"
    )
    do_nothing_ends_as: Literal["FAILED", "DEPLOYED"] = Field(
        "FAILED", description="end of a stage under DO_NOTHING in which devices failed"
    )
    restart_failed_stages: bool = Field(default=True, description="StartEdgeDeploymentStage works on a FAILED stage")
    last_modified_with_devices: bool = Field(default=False, description="device progress moves LastModifiedTime")
    last_modified_with_tags: bool = Field(default=False, description="AddTags and DeleteTags move LastModifiedTime")

    accounts: dict[str, str] = Field(default_factory=dict, description="account of single access keys")
    expired_access_keys: tuple[str, ...] = Field((), description="access keys that have expired; `*`: all of them")

    def changed(self, changes: dict[str, Any]) -> Settings:
        """These settings with some changed; keys in camelCase or snake_case."""
        return Settings.model_validate(
            self.model_dump(by_alias=True) | {to_camel(key): value for key, value in changes.items()}
        )

    def rules(self, scope: Scope) -> Rules:
        """The bounds that hold in one scope."""
        return Rules(
            plans_per_scope=self.quotas.get(f"{scope.account}/{scope.region}", self.quota),
            stages_per_plan=self.stages_per_plan,
            tags_per_resource=self.tags_per_resource,
            page_size=self.page_size,
            duplicate_code=self.duplicate_code,
            missing_code=self.missing_code,
            quota_before_name=self.quota_before_name,
            restart_failed_stages=self.restart_failed_stages,
        )
