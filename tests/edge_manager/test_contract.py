"""Every shape of every operation is held against botocore's models."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from edge_manager.api.calls import OPERATIONS
from edge_manager.api.dispatch import codec
from edge_manager.api.service import REGISTERED
from edge_manager.errors import ApiError
from tests.sandbox.test_sandbox_contract import broken, sample

assert REGISTERED
MODELS = {
    service: botocore.session.get_session().get_service_model(service) for service in ("sagemaker", "sagemaker-edge")
}


def shape_of(operation: str) -> Any:
    return MODELS[OPERATIONS[operation].service].operation_model(operation).input_shape


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_breaking_any_constraint_is_refused_in_the_words_of_aws(operation: str) -> None:
    wire = codec(OPERATIONS[operation].service)
    constraints = list(broken(shape_of(operation)))
    assert constraints or not shape_of(operation).members
    for request, path, says in constraints:
        with pytest.raises(ApiError) as refusal:
            wire.parse(operation, request)
        assert refusal.value.code == "ValidationException"
        assert f" at '{path}' failed to satisfy constraint: {says}" in refusal.value.message


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_every_sample_request_passes_the_model(operation: str) -> None:
    shape = shape_of(operation)
    assert codec(OPERATIONS[operation].service).parse(operation, sample(shape)) == sample(shape)
