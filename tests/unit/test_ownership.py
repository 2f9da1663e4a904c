"""Whose an AWS plan is."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.api import OWNER_TAG
from controller.domain.ownership import Owner
from controller.domain.relation import Relation, relation
from controller.domain.resource import Key
from tests.unit.builders import ARN, MINUTE, NOON, OWNER, Observed, desired, observed, settling, status

SECOND = timedelta(seconds=1)
PART = st.text(st.characters(categories=["Ll", "Nd"]), min_size=1, max_size=63)


@given(cluster=PART, namespace=PART, name=PART, uid=PART)
def test_tag_value_names_the_owner_and_is_read_back(cluster: str, namespace: str, name: str, uid: str) -> None:
    owner = Owner(cluster, namespace, name, uid)
    read = Owner.parse(owner.tag_value)
    assert read == owner
    assert read is not None
    assert read.key == Key(namespace, name)


@given(name=st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1, max_size=253))
def test_tag_value_fits_into_a_tag_however_long_the_names_are(name: str) -> None:
    owner = Owner("c" * 63, "n" * 63, name, "u" * 36)
    assert len(owner.tag_value) <= 256
    read = Owner.parse(owner.tag_value)
    assert read is not None
    assert owner.same_object(read)


def test_long_names_that_differ_at_the_end_are_different_owners() -> None:
    one, other = (Owner("c", "n", "a" * 200 + end, "u") for end in "bc")
    assert not one.same_object(other)
    assert one.tag_value != other.tag_value


@pytest.mark.parametrize("value", ["", "a/b", "a/b/c/d/e", "by hand"])
def test_a_tag_value_of_another_form_names_nobody(value: str) -> None:
    assert Owner.parse(value) is None


def test_plan_with_our_tag_is_ours() -> None:
    assert relation(observed(), desired(), status(arn=None)) is Relation.OURS


def test_plan_whose_tags_were_not_fetched_raises_no_doubt() -> None:
    assert relation(observed().but(tags=None), desired(), status()) is Relation.OURS


def test_plan_without_the_tag_that_we_never_tagged_is_unowned() -> None:
    assert relation(observed().tagged({}), desired(), status(arn=None)) is Relation.UNOWNED


def test_plan_that_we_only_observed_is_unowned() -> None:
    before = status(applied_tag_keys=None)
    assert relation(observed().tagged({}), desired(), before) is Relation.UNOWNED


def test_plan_that_lost_our_tag_is_ours_to_tag() -> None:
    assert relation(observed().tagged({}), desired(), status()) is Relation.OURS_TO_TAG


def test_plan_that_was_made_again_by_hand_is_unowned() -> None:
    reborn = observed().tagged({}).but(created=NOON + MINUTE)
    assert relation(reborn, desired(), status()) is Relation.UNOWNED


@pytest.mark.parametrize(
    ("made", "held", "related"),
    [
        (NOON - 2 * SECOND, observed(), Relation.OURS_TO_TAG),
        (NOON, observed(), Relation.UNOWNED),
        (NOON - 5 * SECOND, observed(), Relation.UNOWNED),
        (NOON - 2 * SECOND, observed().but(fleet="other"), Relation.UNOWNED),
    ],
)
def test_plan_never_seen_that_lost_our_tag_is_known_by_when_and_how_it_was_made(
    made: datetime, held: Observed, related: Relation
) -> None:
    before = status(creation_time=None, settling=settling(created_after=made))
    assert relation(held.tagged({}).but(created=NOON), desired(), before) is related


def test_plan_without_the_tag_at_another_arn_is_unowned() -> None:
    elsewhere = observed().tagged({}).but(arn=ARN.replace("eu-west-1", "us-east-1"))
    assert relation(elsewhere, desired(), status()) is Relation.UNOWNED


def test_plan_tagged_by_a_former_life_of_the_object_is_ours_to_tag() -> None:
    former = Owner(OWNER.cluster, OWNER.namespace, OWNER.name, "uid-0")
    assert (
        relation(observed().tagged({OWNER_TAG: former.tag_value}), desired(), status(arn=None)) is Relation.OURS_TO_TAG
    )


@pytest.mark.parametrize(
    "value",
    [
        Owner("cluster-2", OWNER.namespace, OWNER.name, OWNER.uid).tag_value,
        Owner(OWNER.cluster, "other", OWNER.name, OWNER.uid).tag_value,
        Owner(OWNER.cluster, OWNER.namespace, "other", OWNER.uid).tag_value,
        "by hand",
    ],
)
def test_plan_tagged_by_another_object_is_foreign(value: str) -> None:
    assert relation(observed().tagged({OWNER_TAG: value}), desired(), status()) is Relation.FOREIGN
