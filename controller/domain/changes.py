"""The difference between what is desired and what AWS holds, as calls: stages and tags; and what no call can reach."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from controller.domain.actions import Action, AddTags, CreateStages, DeleteStage, DeleteTags
from controller.domain.desired import Desired, Reference
from controller.domain.observed import ObservedPlan, ObservedStage
from controller.domain.outcomes import Stalled, Waiting
from controller.domain.reasons import Reason
from controller.domain.schedule import STAGE_POLL
from controller.domain.spec import DeploymentConfig, DeviceSelectionConfig, ModelConfig, Stage


def immutable_changes(desired: Desired, observed: ObservedPlan) -> tuple[str, ...]:
    """The fields that differ and that AWS cannot change, each with both values."""
    changes = []
    want, have = desired.spec.device_fleet_name, observed.fleet
    if want != have:
        changes.append(f"deviceFleetName: {have} -> {want}")
    wanted = sorted(f"{model.model_handle}={model.edge_packaging_job_name}" for model in desired.spec.model_configs)
    held = sorted(f"{model.model_handle}={model.edge_packaging_job_name}" for model in observed.models)
    if wanted != held:
        changes.append(f"modelConfigs: {', '.join(held) or 'none'} -> {', '.join(wanted) or 'none'}")
    return tuple(changes)


def references(fleet: str, models: Iterable[ModelConfig]) -> tuple[Reference, ...]:
    """What a plan on that fleet with those models is made of."""
    jobs = dict.fromkeys(model.edge_packaging_job_name for model in models)
    return (Reference("deviceFleetName", fleet), *(Reference("edgePackagingJobName", job) for job in jobs))


def wanted_references(desired: Desired) -> tuple[Reference, ...]:
    """What the spec names: the fleet, then packaging jobs."""
    return references(desired.spec.device_fleet_name, desired.spec.model_configs)


def new_references(desired: Desired, observed: ObservedPlan) -> tuple[Reference, ...]:
    """What the spec names and the plan is not made of, devices among it."""
    held = references(observed.fleet, observed.models) + _devices(
        observed.fleet, (each.selection for each in observed.stages)
    )
    named = _devices(desired.spec.device_fleet_name, (each.device_selection_config for each in desired.stages))
    return tuple(reference for reference in (*wanted_references(desired), *named) if reference not in held)


def _devices(fleet: str, selections: Iterable[DeviceSelectionConfig]) -> tuple[Reference, ...]:
    names = dict.fromkeys(name for selection in selections for name in selection.device_names or ())
    return tuple(Reference("deviceNames", name, fleet) for name in names)


def stage_differences(desired: Desired, observed: ObservedPlan) -> tuple[str, ...]:
    """The settings of stages that the plan and the spec both have and that differ, each with both values."""
    differences = []
    for want in desired.stages:
        have = observed.stage(want.stage_name)
        if have is None or _same(want, have):
            continue
        policy = have.deployment if want.deployment_config is not None else None
        held = _settings(have.selection, policy)
        wanted = _settings(want.device_selection_config, want.deployment_config)
        differences += [
            f"stage {have.name}: {name}: {held.get(name, 'none')} -> {wanted.get(name, 'none')}"
            for name in {**held, **wanted}
            if held.get(name) != wanted.get(name)
        ]
    return tuple(differences)


def _settings(selection: DeviceSelectionConfig, policy: DeploymentConfig | None) -> Mapping[str, object]:
    return {**selection.wire(), **(policy.wire() if policy is not None else {})}


def tag_changes(
    desired: Desired, arn: str, have: Mapping[str, str] | None, applied: Collection[str]
) -> tuple[Action, ...]:
    """Calls that bring the tags in step: only keys that the spec has now, or that we put there before."""
    if have is None:
        return ()
    add = {key: value for key, value in desired.tags.items() if have.get(key) != value}
    remove = tuple(key for key in sorted(applied) if key not in desired.tags and key in have)
    # Removing first keeps the plan under AWS's 50 tags when the spec swaps one for another.
    removal: tuple[Action, ...] = (DeleteTags(arn, remove),) if remove else ()
    addition: tuple[Action, ...] = (AddTags(arn, add),) if add else ()
    return removal + addition


def _same(want: Stage, have: ObservedStage) -> bool:
    if want.stage_name != have.name or _selection(want) != _selection(have):
        return False
    # AWS answers with a deploymentConfig even where none was given: absent means its default, whatever that is.
    return want.deployment_config is None or want.deployment_config == have.deployment


def _selection(stage: Stage | ObservedStage) -> tuple[object, ...]:
    config = stage.device_selection_config if isinstance(stage, Stage) else stage.selection
    names = frozenset(config.device_names or ())
    return (config.device_subset_type, config.percentage, names, config.device_name_contains)


def _kept(wanted: Sequence[Stage], held: Sequence[ObservedStage]) -> int:
    """How many of the wanted stages, from the first, can stay: AWS has them, in this order, as they should be.

    AWS only appends, so what stays must come before all that is created.
    """
    position = 0
    for count, want in enumerate(wanted):
        match = next((i for i in range(position, len(held)) if _same(want, held[i])), None)
        if match is None:
            return count
        position = match + 1
    return len(wanted)


def stage_changes(desired: Desired, observed: ObservedPlan) -> tuple[Action, ...] | Waiting | Stalled:
    """Calls that bring the stages in step; or Waiting for a stage that is active; or Stalled where AWS cannot get there.

    A DEPLOYED stage that the spec still has is never deleted to reach an order or a setting: creating it again would
    deploy it again. Removing it from the spec is asking for its deletion.
    """
    kept = _kept(desired.stages, observed.stages)
    keep = {stage.stage_name for stage in desired.stages[:kept]}
    doomed = [stage for stage in observed.stages if stage.name not in keep]
    missing = desired.stages[kept:]
    wanted = {stage.stage_name: stage for stage in desired.stages}

    for stage in doomed:
        if stage.active:
            return Waiting(
                STAGE_POLL,
                Reason.STAGE_ACTIVE,
                f"stage {stage.name} is to be {'changed' if stage.name in wanted else 'removed'}, which AWS refuses "
                f"while it is {stage.status}; waiting until it ends, or until the spec has it as it was",
            )
    for stage in doomed:
        want = wanted.get(stage.name)
        if want is not None and stage.status == "DEPLOYED":
            what = "its place in the order changed" if _same(want, stage) else "its settings changed"
            return Stalled(
                Reason.DEPLOYED_STAGE_CHANGED,
                f"stage {stage.name} is DEPLOYED and {what}; AWS can only delete and create it, which would deploy it "
                "again. Put it back as it was, or give the new stage another stageName after the deployed ones",
            )
    deletions = tuple(DeleteStage(observed.name, stage.name) for stage in doomed)
    creation: tuple[Action, ...] = (CreateStages(observed.name, missing),) if missing else ()
    return deletions + creation
