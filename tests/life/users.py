"""What users do with their objects."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from controller.domain.resource import Key
from tests.life.machine import World
from tests.life.shapes import FLEETS, KEYS, MODELS, POLICIES, ROLLOUTS, SPECS, STAGES, TAGS
from tests.life.troubles import Trouble, troubled


class Users(World):
    """Everybody who may write objects."""

    @rule(key=KEYS, spec=SPECS)
    def user_creates(self, key: Key, spec: dict[str, Any] | None) -> None:
        if spec is not None and not self.there(key):
            self.count("created")
            self.cluster.create(key, spec)
            self.run()

    @rule(key=KEYS, stages=STAGES)
    def user_edits_stages(self, key: Key, stages: list[dict[str, Any]]) -> None:
        if self.there(key):
            self.count("stages edited")
            self.apply(key, stages=stages or None)

    @rule(key=KEYS, tags=TAGS)
    def user_edits_tags(self, key: Key, tags: list[dict[str, str]]) -> None:
        if self.there(key):
            self.count("tags edited")
            self.apply(key, tags=tags or None)

    @rule(key=KEYS, fleet=FLEETS)
    def user_edits_fleet(self, key: Key, fleet: str) -> None:
        if self.there(key):
            self.count("fleet edited")
            self.apply(key, deviceFleetName=fleet)

    @rule(key=KEYS, models=MODELS)
    def user_edits_models(self, key: Key, models: list[dict[str, str]]) -> None:
        if self.there(key):
            self.count("models edited")
            self.apply(key, modelConfigs=models)

    @rule(key=KEYS, fleet=FLEETS, models=MODELS)
    def user_has_the_plan_replaced(self, key: Key, fleet: str, models: list[dict[str, str]]) -> None:
        if self.there(key):
            self.count("replacement asked for")
            policy = self.cluster.spec(key).get("policy", {}) | {"replacement": "Recreate"}
            self.apply(key, deviceFleetName=fleet, modelConfigs=models, policy=policy)
            self.run()

    @rule(key=KEYS, fleet=FLEETS, models=MODELS, stages=STAGES, seconds=st.sampled_from([5.0, 20.0]))
    def user_changes_what_is_failing(
        self, key: Key, fleet: str, models: list[dict[str, str]], stages: list[dict[str, Any]], seconds: float
    ) -> None:
        """While a stage runs whose devices fail."""
        if not self.there(key):
            return
        self.count("changed while failing")
        for stage in self.cluster.spec(key).get("stages", ()):
            self.aws.fail_devices(stage["stageName"], 50)
        self.apply(key, rollout={"strategy": "Sequential", "maxFailedPercent": 0}, suspend=None)
        self.run(seconds)
        if not self.there(key):
            return
        self.apply(key, deviceFleetName=fleet, modelConfigs=models, stages=stages)
        self.run(30)
        self.settle()

    @rule(key=KEYS, policy=POLICIES)
    def user_edits_policy(self, key: Key, policy: dict[str, str]) -> None:
        if self.there(key):
            self.count("policy edited")
            self.apply(key, policy=policy or None)

    @rule(key=KEYS, rollout=ROLLOUTS)
    def user_edits_rollout(self, key: Key, rollout: dict[str, Any] | None) -> None:
        if self.there(key):
            self.count("rollout edited")
            self.apply(key, rollout=rollout)

    @rule(key=KEYS, suspend=st.booleans())
    def user_suspends_or_resumes(self, key: Key, *, suspend: bool) -> None:
        if self.there(key):
            self.count("suspended or resumed")
            self.apply(key, suspend=suspend or None)

    @rule(key=KEYS, token=st.integers(0, 9))
    def user_asks(self, key: Key, token: int) -> None:
        if self.there(key):
            self.count("asked")
            self.cluster.request(key, str(token))

    @rule(key=KEYS)
    def user_deletes(self, key: Key) -> None:
        if self.there(key):
            self.count("deleted")
            self.cluster.delete(key)

    @precondition(lambda _: troubled(Trouble.STRIPPED_FINALIZERS))
    @rule(key=KEYS, seconds=st.sampled_from([0.0, 0.1, 1.0]))
    def user_takes_the_finalizer_off(self, key: Key, seconds: float) -> None:
        if self.there(key):
            self.count("stripped of the finalizer")
            self.cluster.strip(key)
            self.run(seconds)

    @precondition(lambda _: troubled(Trouble.FORCED_REPLACEMENTS))
    @rule(key=KEYS, spec=SPECS, seconds=st.sampled_from([0.0, 0.1, 1.0]))
    def user_replaces_by_force(self, key: Key, spec: dict[str, Any] | None, seconds: float) -> None:
        if spec is not None and self.there(key):
            self.count("replaced by force")
            self.run(seconds)
            if self.there(key):
                self.cluster.replace_by_force(key, spec)

    @precondition(lambda _: troubled(Trouble.FINALIZER_RACES))
    @rule(key=KEYS, spec=SPECS)
    def user_deletes_while_the_finalizer_is_put_on(self, key: Key, spec: dict[str, Any] | None) -> None:
        if spec is not None and not self.there(key):
            self.count("deleted while the finalizer is put on")
            self.cluster.racing.add(key)
            self.cluster.create(key, spec)
            self.run(5)
            self.cluster.racing.discard(key)
            if self.there(key):
                self.cluster.delete(key)

    @precondition(lambda _: troubled(Trouble.SLOW_CALLS))
    @rule(key=KEYS, spec=SPECS, seconds=st.sampled_from([0.05, 0.2, 0.5, 1.0, 2.0]))
    def user_creates_and_deletes(self, key: Key, spec: dict[str, Any] | None, seconds: float) -> None:
        if spec is not None and not self.there(key):
            self.count("created and deleted")
            self.cluster.create(key, spec)
            self.run(seconds)
            if self.there(key):
                self.cluster.delete(key)
