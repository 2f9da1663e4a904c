"""The CustomResourceDefinition, generated from the models: structural schema, CEL rules, columns, status default.

Structural schemas know no `$ref`, no `anyOf: [..., null]`, no `additionalProperties: false`; pydantic writes all three.
"""

from typing import Any, get_args

import yaml

from controller.domain.api import API_VERSION, GROUP, KIND, PLURAL, VERSION
from controller.domain.base import Model, RuledModel
from controller.domain.resource import NAME_NEEDED
from controller.domain.spec import ENTITY_NAME_PATTERN, EdgeDeploymentPlanSpec
from controller.domain.status import EdgeDeploymentPlanStatus

FILE_NAME = f"{GROUP}_{PLURAL}.yaml"

# Keys of a list whose items merge by key under server-side apply, and are unique by it. Stages are not here: their
# order matters, so the list is applied whole.
_MAP_LISTS = {"tags": "key", "conditions": "type"}

_KEPT = ("enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "format")

_COLUMNS: tuple[dict[str, Any], ...] = (
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    {"name": "Reason", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].reason'},
    {"name": "Stages", "type": "string", "jsonPath": ".status.stagesDeployed"},
    {"name": "Devices", "type": "string", "jsonPath": ".status.devicesDeployed"},
    {"name": "Fleet", "type": "string", "jsonPath": ".spec.deviceFleetName"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {
        "name": "Message",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="Ready")].message',
        "priority": 1,
    },
    {"name": "Account", "type": "string", "jsonPath": ".status.account", "priority": 1},
    {"name": "Region", "type": "string", "jsonPath": ".status.region", "priority": 1},
    {"name": "ARN", "type": "string", "jsonPath": ".status.edgeDeploymentPlanArn", "priority": 1},
)

_NAME = "(has({0}.spec.edgeDeploymentPlanName) ? {0}.spec.edgeDeploymentPlanName : {0}.metadata.name)"
_TARGET = "(has({0}.spec.target) && has({0}.spec.target.{1}) ? {0}.spec.target.{1} : '')"


def _immutable_target(part: str) -> dict[str, str]:
    return {
        "rule": f"{_TARGET.format('self', part)} == {_TARGET.format('oldSelf', part)}",
        "message": f"target.{part} cannot be changed: the plan would stay behind where it is; "
        "delete the object and create it again",
        "fieldPath": ".spec.target",
    }


_ROOT_RULES: tuple[dict[str, str], ...] = (
    {
        "rule": f"has(self.spec.edgeDeploymentPlanName) || self.metadata.name.matches('{ENTITY_NAME_PATTERN}')",
        "message": NAME_NEEDED,
        "fieldPath": ".spec",
    },
    {
        "rule": f"{_NAME.format('self')} == {_NAME.format('oldSelf')}",
        "message": "edgeDeploymentPlanName cannot be changed: it names another AWS plan; "
        "delete the object and create it again",
        "fieldPath": ".spec.edgeDeploymentPlanName",
    },
    _immutable_target("account"),
    _immutable_target("region"),
)


def custom_resource_definition() -> dict[str, Any]:
    """The CustomResourceDefinition object, ready for `kubectl apply`."""
    status = schema_of(EdgeDeploymentPlanStatus)
    # kstatus reads an object without status as done; an older observedGeneration reads as in progress.
    status["default"] = {"observedGeneration": -1}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["edp"],
                "categories": ["sagemaker", "aws"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": list(_COLUMNS),
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "description": "An AWS SageMaker edge deployment plan, kept in AWS as this object says.",
                            "required": ["spec"],
                            "properties": {
                                "apiVersion": {"type": "string", "description": f"Always {API_VERSION}."},
                                "kind": {"type": "string", "description": f"Always {KIND}."},
                                "metadata": {"type": "object"},
                                "spec": schema_of(EdgeDeploymentPlanSpec),
                                "status": status,
                            },
                            "x-kubernetes-validations": list(_ROOT_RULES),
                        }
                    },
                }
            ],
        },
    }


def schema_of(model: type[Model]) -> dict[str, Any]:
    """The structural schema of a model, with its rules as CEL."""
    document = model.model_json_schema(by_alias=True)
    definitions = document.get("$defs", {})
    rules = {kind.__name__: kind.rules for kind in models(model) if issubclass(kind, RuledModel)}
    return _structural(document, definitions, rules, name="")


def models(model: type[Model]) -> set[type[Model]]:
    """A model and all models in its fields."""
    found = {model}

    def visit(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, Model):
            found.update(models(annotation))
        for argument in get_args(annotation):
            visit(argument)

    for field in model.model_fields.values():
        visit(field.annotation)
    return found


def _structural(node: dict[str, Any], definitions: dict[str, Any], rules: dict[str, Any], name: str) -> dict[str, Any]:
    description = node.get("description")
    if "anyOf" in node:  # Optional: the field may be absent, but never null.
        (node,) = [branch for branch in node["anyOf"] if branch != {"type": "null"}]
    if "$ref" in node:
        node = definitions[node["$ref"].rpartition("/")[2]]
    schema: dict[str, Any] = {"type": node["type"]}
    if text := description or node.get("description"):
        schema["description"] = " ".join(text.split())
    schema |= {key: node[key] for key in _KEPT if key in node}
    if "const" in node:
        schema["enum"] = [node["const"]]
    if schema["type"] == "integer":
        schema["format"] = "int64" if name == "observedGeneration" else "int32"
    elif schema["type"] == "array":
        schema |= _list(node, definitions, rules, name)
    elif schema["type"] == "object":
        schema |= _object(node, definitions, rules)
    return schema


def _list(node: dict[str, Any], definitions: dict[str, Any], rules: dict[str, Any], name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"items": _structural(node["items"], definitions, rules, name="")}
    merge_key = _MAP_LISTS.get(name)
    if merge_key is None:
        return schema | {"x-kubernetes-list-type": "atomic"}
    return schema | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [merge_key]}


def _object(node: dict[str, Any], definitions: dict[str, Any], rules: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"required": sorted(node["required"])} if node.get("required") else {}
    schema["properties"] = {
        key: _structural(value, definitions, rules, name=key) for key, value in node["properties"].items()
    }
    if own := rules.get(node.get("title", ""), ()):
        schema["x-kubernetes-validations"] = [
            {"rule": rule.cel, "message": rule.message}
            | ({"messageExpression": f"'{rule.message}: ' + {rule.values}"} if rule.values else {})
            | ({"fieldPath": rule.field} if rule.field else {})
            for rule in own
        ]
    return schema


class _Dumper(yaml.SafeDumper):
    """YAML as Kubernetes projects write it: no anchors, strings with quotes only where needed."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        return True


def render() -> str:
    """The file's text."""
    body = yaml.dump(custom_resource_definition(), Dumper=_Dumper, sort_keys=False, width=120)
    return f"# Generated by `edgeplan crd`; edit controller/domain/ instead.\n{body}"
