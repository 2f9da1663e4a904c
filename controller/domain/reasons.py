"""Why an object is as it is: the reason of every condition, and what the sweep can tell that ends it."""

from enum import StrEnum


class Reason(StrEnum):
    """The `reason` of a condition."""

    # Ready
    IN_SYNC = "InSync"
    ROLLOUT_COMPLETE = "RolloutComplete"
    WAITING_FOR_PROMOTION = "WaitingForPromotion"
    # not Ready, and not under way
    CHANGES_PENDING = "ChangesPending"
    SUSPENDED = "Suspended"
    # not Ready, as calls fail
    ACCESS_DENIED = "AccessDenied"
    AWS_UNAVAILABLE = "AWSUnavailable"
    NO_CREDENTIALS = "NoCredentials"
    REFERENCE_NOT_FOUND = "ReferenceNotFound"
    THROTTLED = "Throttled"
    # under way
    BAKING = "Baking"
    CHANGING_STAGES = "ChangingStages"
    CHANGING_TAGS = "ChangingTags"
    PROGRESSING_WITH_RETRY = "ProgressingWithRetry"
    RECREATING = "Recreating"
    ROLLOUT_PROGRESSING = "RolloutProgressing"
    SETTLING = "Settling"
    STAGE_ACTIVE = "StageActive"
    STOPPING_STAGE = "StoppingStage"
    STOPPING_STAGES = "StoppingStages"
    # stalled
    DEPLOYED_STAGE_CHANGED = "DeployedStageChanged"
    IMMUTABLE_FIELD_CHANGED = "ImmutableFieldChanged"
    INVALID_SPEC = "InvalidSpec"
    NAME_CONFLICT = "NameConflict"
    NOT_OWNED = "NotOwned"
    NOT_PERMITTED = "NotPermitted"
    OWNERSHIP_LOST = "OwnershipLost"
    PLAN_ELSEWHERE = "PlanElsewhere"
    REFUSED_BY_AWS = "RefusedByAWS"
    ROLLOUT_STOPPED = "RolloutStopped"
    STAGE_FAILED = "StageFailed"
    TARGET_REFUSED = "TargetRefused"
    # quota
    RESOURCE_LIMIT_EXCEEDED = "ResourceLimitExceeded"
    SHARE_USED = "ShareUsed"
    WAITING_FOR_QUOTA = "WaitingForQuota"
    QUOTA_AVAILABLE = "QuotaAvailable"
    NOT_WAITING = "NotWaiting"
    # gone
    DELETED = "Deleted"
    KEPT = "Kept"
    RETAINED = "Retained"

    @classmethod
    def of(cls, text: str) -> "Reason | None":
        """The reason that a stored condition gives; None for one of another version of the operator."""
        return cls._value2member_map_.get(text)  # type: ignore[return-value]

    @property
    def ends_when_the_plan_goes(self) -> bool:
        """Whether an object without a plan of its own stands back for one of that name."""
        return self in {Reason.NOT_OWNED, Reason.NOT_PERMITTED}

    @property
    def ends_when_rights_are_given(self) -> bool:
        """Whether the administrator keeps the object from what it asks for, or did by another cluster id."""
        return self in {Reason.TARGET_REFUSED, Reason.NOT_PERMITTED, Reason.OWNERSHIP_LOST, Reason.NOT_OWNED}

    @property
    def ends_when_the_plan_comes(self) -> bool:
        """Whether a plan of that name shows that the reason does not hold: AWS refused what was there already."""
        return self is Reason.REFUSED_BY_AWS

    @property
    def ends_when_the_name_is_free(self) -> bool:
        """Whether the object stands back for another object; looking again costs no call to AWS."""
        return self is Reason.NAME_CONFLICT
