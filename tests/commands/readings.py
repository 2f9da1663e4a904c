"""Files as people have them, each with what `kubectl apply --dry-run=server` says to it.

The verdicts were recorded from kubectl; `test_validate_kubectl.py` asks it again. A few files more are in manifests/.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "manifests"

HEAD = "apiVersion: edgeplan.dev/v1alpha1\nkind: EdgeDeploymentPlan\n"
MODELS = "spec:\n  modelConfigs:\n  - modelHandle: counter\n    edgePackagingJobName: counter-v7\n"
FLEET = "  deviceFleetName: store-cameras\n"
PARTS = {
    "<plan>": f"{HEAD}metadata:\n  name: store\n{MODELS}{FLEET}",
    "<head>": HEAD,
    "<models>": MODELS,
    "<fleet>": FLEET,
    "<anchored>": f"{HEAD}metadata: {{name: a, annotations: &b {{x: z}}}}\n",
    "<json>": (
        '{"apiVersion":"edgeplan.dev/v1alpha1","kind":"EdgeDeploymentPlan","metadata":{"name":"j1"},'
        '"spec":{"modelConfigs":[],"deviceFleetName":"f"}}'
    ),
}
"""What stands for a longer text in the files below."""


@dataclass(frozen=True)
class Reading:
    """One file and kubectl's verdict."""

    name: str
    data: bytes
    accepted: bool


@dataclass(frozen=True)
class File:
    """One file, written out."""

    name: str
    accepted: bool
    text: str
    encoding: str = "utf-8"

    def reading(self) -> Reading:
        text = self.text
        for part, whole in PARTS.items():
            text = text.replace(part, whole)
        return Reading(self.name, text.encode(self.encoding), self.accepted)


@dataclass(frozen=True)
class Values:
    """Texts in one place of a good manifest."""

    place: str
    accepted: tuple[str, ...]
    refused: tuple[str, ...]

    def readings(self) -> Iterator[Reading]:
        suffix = "json" if self.place == "json" else "yaml"
        for number, text in enumerate((*self.accepted, *self.refused)):
            data = PLACES[self.place].replace("<text>", text).encode()
            yield Reading(f"{self.place}-{number:02}.{suffix}", data, number < len(self.accepted))


_PLAN = PARTS["<plan>"]
_PERCENTAGE = (
    "  stages:\n  - stageName: a\n    deviceSelectionConfig: {deviceSubsetType: PERCENTAGE, percentage: <text>}\n"
)
PLACES = {
    "fleet": _PLAN.replace("store-cameras", "<text>"),
    "percentage": _PLAN + _PERCENTAGE,
    "suspend": f"{_PLAN}  suspend: <text>\n",
    "label": _PLAN.replace("name: store\n", "name: store\n  labels: {team: <text>}\n"),
    "annotation": _PLAN.replace("name: store\n", "name: store\n  annotations: {team: <text>}\n"),
    "label_key": _PLAN.replace("name: store\n", "name: store\n  labels: {<text>: x}\n"),
    "annotation_key": _PLAN.replace("name: store\n", "name: store\n  annotations: {<text>: x}\n"),
    "name": _PLAN.replace("name: store\n", "name: <text>\n").replace("spec:", "spec:\n  edgeDeploymentPlanName: x"),
    "metadata": _PLAN.replace("name: store\n", "name: store\n  <text>\n"),
    "json": PARTS["<json>"].replace('"f"', '"f"<text>'),
}

VALUES = (
    Values(
        "fleet",
        accepted=("2026-01-01", "!!str 5", "! 5", "'5'", "!!binary YWJj", "!x yes", "!!timestamp 2026-01-01", "0xZZ", "0o8"),
        refused=("yes", "y", "n", "on", "Off", "null", "~", "'~'", "1_000", "0o17", "0x1F", "017", "08", "1e3", "1.5", ".5", "+5", "5.", "0b11", "-0b11", ".inf", "12:30", "1:30:00", "!!int '5'", "!!bool yes", "=", "<<", "!!float 5", "!!int 5", "!!int abc", "1__0", "_1", "'-'", ".", "+", "99999999999999999999", "0"),
    ),
    Values(
        "percentage",
        accepted=("5", "5.0", "0x5", "0o5", "05", "5e0", "1_0", "!!int '5'", "!!float 5", "0b101", "+5", "5.", "50e-1", "1e2", "1e-400"),
        refused=("5.5", "'5'", "yes", "null", "!!str 5"),
    ),
    Values(
        "suspend",
        accepted=("yes", "no", "on", "y", "N", "True", "TRUE", "null", "off", "!!bool 'on'"),
        refused=("'true'", "tRUE", "1"),
    ),
    Values(
        "name",
        accepted=("a.b", "2026-01-01", "'1'"),
        refused=("''", "null", "~", "1.5", "true", "Upper", "a..b", "'a b'", "a" * 254, "'-a'", "a_b", "no", "1e3", "0x1f"),
    ),
    Values(
        "label",
        accepted=("null", "~", "2026-01-01", "''", "a" * 63, "a_b.c-d"),
        refused=("5", "true", "1.0", "yes", "{a: b}", "[a]", "a b", "-a", "a" * 64),
    ),
    Values(
        "annotation",
        accepted=("null", "~", "2026-01-01", "''", "a b", "-a", "a" * 64, "a" * 63, "a_b.c-d"),
        refused=("5", "true", "1.0", "yes", "{a: b}", "[a]"),
    ),
    Values(
        "label_key",
        accepted=("a/b", "5", "true", "x.y/z_1.2", "yes", "1.5"),
        refused=("a//b", "A.b/c", "/a", "a/", "a b", "'-a'", "null", "UPPER/x", "a" * 64, "? [a]"),
    ),
    Values(
        "annotation_key",
        accepted=("a/b", "A.b/c", "5", "true", "x.y/z_1.2", "UPPER/x", "yes", "1.5"),
        refused=("a//b", "/a", "a/", "a b", "'-a'", "null", "a" * 64, "? [a]"),
    ),
    Values(
        "metadata",
        accepted=("resourceVersion: '5'", "uid: abc", "generation: 5", "generation: 5.0", "creationTimestamp: 2026-01-01T00:00:00Z", "creationTimestamp: null", "creationTimestamp: '2026-01-01T00:00:00.5+01:00'", "labels: null", "finalizers: [a]", "finalizers: [a.b/c]", "ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: a, uid: b}]", "namespace: default", "namespace: ''", "namespace: null", "generateName: x-", "selfLink: /a", "managedFields: []", "managedFields: [{manager: a, operation: Update, apiVersion: v1, time: 2026-01-01T00:00:00Z, fieldsType: FieldsV1, fieldsV1: {}}]", "deletionGracePeriodSeconds: 5", "deletionTimestamp: 2026-01-01T00:00:00Z"),
        refused=("foo: 1", "Labels: {a: b}", "resourceVersion: 5", "generation: '5'", "generation: 5.5", "creationTimestamp: yesterday", "creationTimestamp: 2026-01-01", "creationTimestamp: ''", "creationTimestamp: '2026-01-01 00:00:00Z'", "labels: [a]", "labels: ''", "finalizers: ['a b']", "finalizers: a", "finalizers: [5]", "finalizers: [null]", "finalizers: [orphan, foregroundDeletion]", "ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: a, uid: b, foo: c}]", "ownerReferences: [{apiVersion: v1, kind: ConfigMap}]", "ownerReferences: ['a']", "namespace: De_fault", "namespace: 5", "generateName: 5", "clusterName: a", "managedFields: [{foo: a}]", "managedFields: a", "deletionTimestamp: 5"),
    ),
    Values(
        "json",
        accepted=("", ",", ',"deviceFleetName":"g"', ',"rollout":null,"stages":[{"stageName":"a","deviceSelectionConfig":{"deviceSubsetType":"PERCENTAGE","percentage":10.0}}]', ',"stages":[{"stageName":"a","deviceSelectionConfig":{"deviceSubsetType":"PERCENTAGE","percentage":1e1}}]', ',"tags":[{"key":"\\u00e4","value":"\\/"}]', ',"suspend":null'),
        refused=(',"deviceFleetName":"a b"', ',"suspend":NaN', "/*a*/", ',"tags":[{"key":"a\\ud800","value":""}]', ',"tags":[{"key":"a\tb","value":""}]', ',"suspend":1e400', ',"suspend":01', ',"Suspend":true'),
    ),
)  # fmt: skip

FILES = (
    File("bom.json", True, "\ufeff<json>"),
    File("bom.yaml", True, "\ufeff<plan>"),
    File("control.yaml", False, "<plan># \x07\n"),
    File("cr.yaml", True, "apiVersion: edgeplan.dev/v1alpha1\rkind: EdgeDeploymentPlan\rmetadata:\r  name: cr\rspec:\r  modelConfigs:\r  - modelHandle: counter\r    edgePackagingJobName: counter-v7\r  deviceFleetName: store-cameras\r"),
    File("crlf.yaml", True, "apiVersion: edgeplan.dev/v1alpha1\r\nkind: EdgeDeploymentPlan\r\nmetadata:\r\n  name: crlf\r\nspec:\r\n  modelConfigs:\r\n  - modelHandle: counter\r\n    edgePackagingJobName: counter-v7\r\n  deviceFleetName: store-cameras\r\n"),
    File("emoji.yaml", True, "<head>metadata:\n  name: emo\n  annotations: {a: 😀}\n<models><fleet>"),
    File("latin-in-annotation.yaml", True, "<head>metadata:\n  name: l\n  annotations: {a: zähler}\n<models><fleet>", "latin-1"),
    File("latin-in-tag.yaml", False, "<plan>  tags: [{key: a, value: zähler}]\n", "latin-1"),
    File("nel.yaml", True, '<head>metadata:\n  name: nel\n  annotations: {a: "x\x85y"}\n<models><fleet>'),
    File("nul.yaml", False, "<plan># \x00\n"),
    File("utf16-nobom.yaml", False, "a\x00p\x00i\x00V\x00e\x00r\x00s\x00i\x00o\x00n\x00:\x00 \x00e\x00d\x00g\x00e\x00p\x00l\x00a\x00n\x00.\x00d\x00e\x00v\x00/\x00v\x001\x00a\x00l\x00p\x00h\x00a\x001\x00\n\x00k\x00i\x00n\x00d\x00:\x00 \x00E\x00d\x00g\x00e\x00D\x00e\x00p\x00l\x00o\x00y\x00m\x00e\x00n\x00t\x00P\x00l\x00a\x00n\x00\n\x00m\x00e\x00t\x00a\x00d\x00a\x00t\x00a\x00:\x00\n\x00 \x00 \x00n\x00a\x00m\x00e\x00:\x00 \x00n\x00o\x00b\x00o\x00m\x00\n\x00s\x00p\x00e\x00c\x00:\x00\n\x00 \x00 \x00m\x00o\x00d\x00e\x00l\x00C\x00o\x00n\x00f\x00i\x00g\x00s\x00:\x00\n\x00 \x00 \x00-\x00 \x00m\x00o\x00d\x00e\x00l\x00H\x00a\x00n\x00d\x00l\x00e\x00:\x00 \x00c\x00o\x00u\x00n\x00t\x00e\x00r\x00\n\x00 \x00 \x00 \x00 \x00e\x00d\x00g\x00e\x00P\x00a\x00c\x00k\x00a\x00g\x00i\x00n\x00g\x00J\x00o\x00b\x00N\x00a\x00m\x00e\x00:\x00 \x00c\x00o\x00u\x00n\x00t\x00e\x00r\x00-\x00v\x007\x00\n\x00 \x00 \x00d\x00e\x00v\x00i\x00c\x00e\x00F\x00l\x00e\x00e\x00t\x00N\x00a\x00m\x00e\x00:\x00 \x00s\x00t\x00o\x00r\x00e\x00-\x00c\x00a\x00m\x00e\x00r\x00a\x00s\x00\n\x00"),
    File("utf16be.yaml", True, "\ufeff<plan>", "utf-16-be"),
    File("utf16le.yaml", True, "\ufeff<plan>", "utf-16-le"),
    File("docend-garbage.yaml", True, "<plan>...\n  : [}\n"),
    File("docend-sep.yaml", True, "<plan>...\n---\n<plan>"),
    File("dup-anchor.yaml", False, "x: &a 1\ny: &a 2\n<plan>"),
    File("flow.yaml", True, "{apiVersion: edgeplan.dev/v1alpha1, kind: EdgeDeploymentPlan, metadata: {name: x}, spec: {modelConfigs: [], deviceFleetName: f}}\n"),
    File("flow2.yaml", True, "# a\n{apiVersion: edgeplan.dev/v1alpha1, kind: EdgeDeploymentPlan, metadata: {name: x}, spec: {modelConfigs: [], deviceFleetName: f}}\n"),
    File("list-doc.yaml", False, "- a\n---\n<plan>"),
    File("null-doc.yaml", True, "null\n---\n<plan>"),
    File("scalar-doc.yaml", False, "hello\n---\n<plan>"),
    File("sep-comment.yaml", True, "--- # x\n<plan>"),
    File("sep-space.yaml", True, "---   \n<plan>---\n"),
    File("sep-text.yaml", False, "--- !x\n<plan>"),
    File("sep4.yaml", False, "----\n<plan>"),
    File("trailing-sep.yaml", True, "<plan>---\n---\n# x\n---\n"),
    File("two-2nd-bad.yaml", False, "<plan>---\n<head>metadata:\n  name: b\n<models>  deviceFleetName: a b\n"),
    File("two.yaml", True, "<plan>---\n<plan>"),
    File("dup-key-bad-first.yaml", True, "<head>metadata:\n  name: a\n<models>  deviceFleetName: a b\n  deviceFleetName: good\n"),
    File("dup-key-bad.yaml", False, "<plan>  deviceFleetName: 'a b'\n"),
    File("dup-key.yaml", True, "<plan>  deviceFleetName: other\n"),
    File("dup-label.yaml", False, "<head>metadata:\n  name: a\n  labels: {a: x, a: y}\n<models><fleet>"),
    File("Kind.yaml", False, "apiVersion: edgeplan.dev/v1alpha1\nKind: EdgeDeploymentPlan\nmetadata:\n  name: q\n<models><fleet>"),
    File("apinov.yaml", False, "apiVersion: edgeplan.dev\nkind: EdgeDeploymentPlan\nmetadata:\n  name: q\n<models><fleet>"),
    File("apiv1.yaml", False, "apiVersion: edgeplan.dev/v1\nkind: EdgeDeploymentPlan\nmetadata:\n  name: q\n<models><fleet>"),
    File("edp.yaml", False, "apiVersion: edgeplan.dev/v1alpha1\nkind: edp\nmetadata:\n  name: q\n<models><fleet>"),
    File("extra.yaml", False, "<plan>extra: 1\n"),
    File("extranull.yaml", True, "<plan>extra: null\n"),
    File("group3.yaml", False, "apiVersion: edge-plan.dev/v1alpha1\nkind: EdgeDeploymentPlan\nmetadata:\n  name: q\n<models><fleet>"),
    File("groupio.yaml", False, "apiVersion: edgeplan.io/v1alpha1\nkind: EdgeDeploymentPlan\nmetadata:\n  name: q\n<models><fleet>"),
    File("items.yaml", False, "<plan>items: []\n"),
    File("itemsnull.yaml", False, "<plan>items: null\n"),
    File("itemsone.yaml", True, "<plan>items: [{metadata: {name: a}, spec: {modelConfigs: [], deviceFleetName: f}}]\n"),
    File("kindnum.yaml", False, "apiVersion: edgeplan.dev/v1alpha1\nkind: 5\nmetadata:\n  name: q\n<models><fleet>"),
    File("lowkind.yaml", False, "apiVersion: edgeplan.dev/v1alpha1\nkind: edgedeploymentplan\nmetadata:\n  name: q\n<models><fleet>"),
    File("metastr.yaml", False, "<head>metadata: q\n<models><fleet>"),
    File("noapi.yaml", False, "kind: EdgeDeploymentPlan\nmetadata:\n  name: q\n<models><fleet>"),
    File("nokind.yaml", False, "apiVersion: edgeplan.dev/v1alpha1\nmetadata:\n  name: q\n<models><fleet>"),
    File("nometa.yaml", False, "<head><models><fleet>"),
    File("nospec.yaml", False, "<head>metadata:\n  name: q\n"),
    File("plural.yaml", False, "apiVersion: edgeplan.dev/v1alpha1\nkind: EdgeDeploymentPlans\nmetadata:\n  name: q\n<models><fleet>"),
    File("specnull.yaml", False, "<head>metadata:\n  name: q\nspec: null\n"),
    File("specstr.yaml", False, "<head>metadata:\n  name: q\nspec: a\n"),
    File("status.yaml", True, "<plan>status: {observedGeneration: 3}\n"),
    File("statusbad.yaml", True, "<plan>status: {observedGeneration: a}\n"),
    File("statuscond.yaml", False, "<plan>status: {conditions: [{type: Ready, bar: 1}]}\n"),
    File("statuslist.yaml", True, "<plan>status: []\n"),
    File("statusnested.yaml", False, "<plan>status: {devices: {foo: 3}}\n"),
    File("statusnull.yaml", True, "<plan>status: null\n"),
    File("statusowed.yaml", True, "<plan>status: {owed: x, retry: 5}\n"),
    File("statusstr.yaml", True, "<plan>status: a\n"),
    File("statusunknown.yaml", False, "<plan>status: {foo: 3}\n"),
    File("list-bad.yaml", False, "apiVersion: v1\nkind: List\nitems:\n- apiVersion: edgeplan.dev/v1alpha1\n  kind: EdgeDeploymentPlan\n  metadata:\n    name: a\n  spec:\n    modelConfigs:\n    - modelHandle: counter\n      edgePackagingJobName: counter-v7\n  <fleet>- apiVersion: edgeplan.dev/v1alpha1\n  kind: EdgeDeploymentPlan\n  metadata:\n    name: b\n  spec:\n    modelConfigs:\n    - modelHandle: counter\n      edgePackagingJobName: counter-v7\n    deviceFleetName: a b\n"),
    File("list-empty.yaml", False, "apiVersion: v1\nkind: List\nitems: []\n"),
    File("list-itemnull.yaml", False, "apiVersion: v1\nkind: List\nitems: [null]\n"),
    File("list-itemsmap.yaml", False, "apiVersion: v1\nkind: List\nitems: {a: b}\n"),
    File("list-nested-ok.yaml", False, "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - apiVersion: edgeplan.dev/v1alpha1\n    kind: EdgeDeploymentPlan\n    metadata:\n      name: b\n    spec:\n      modelConfigs:\n      - modelHandle: counter\n        edgePackagingJobName: counter-v7\n    <fleet>"),
    File("list-nested.yaml", False, "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - apiVersion: edgeplan.dev/v1alpha1\n    kind: EdgeDeploymentPlan\n    metadata:\n      name: b\n    spec:\n      modelConfigs:\n      - modelHandle: counter\n        edgePackagingJobName: counter-v7\n      deviceFleetName: a b\n"),
    File("list-noapi.yaml", False, "kind: List\nitems:\n- apiVersion: edgeplan.dev/v1alpha1\n  kind: EdgeDeploymentPlan\n  metadata:\n    name: a\n  spec:\n    modelConfigs:\n    - modelHandle: counter\n      edgePackagingJobName: counter-v7\n  <fleet>"),
    File("list-noitems.yaml", False, "apiVersion: v1\nkind: List\n"),
    File("list-null.yaml", False, "apiVersion: v1\nkind: List\nitems: null\n"),
    File("list-str.yaml", False, "apiVersion: v1\nkind: List\nitems: [a]\n"),
    File("list-typo.yaml", False, "apiVersion: v1\nkind: List\nitems:\n- apiVersion: edgeplan.dev/v1alpha1\n  kind: EdgeDeploymentPlann\n  metadata:\n    name: a\n  spec:\n    modelConfigs:\n    - modelHandle: counter\n      edgePackagingJobName: counter-v7\n  <fleet>"),
    File("list.yaml", True, "apiVersion: v1\nkind: List\nitems:\n- apiVersion: edgeplan.dev/v1alpha1\n  kind: EdgeDeploymentPlan\n  metadata:\n    name: a\n  spec:\n    modelConfigs:\n    - modelHandle: counter\n      edgePackagingJobName: counter-v7\n  <fleet>- apiVersion: edgeplan.dev/v1alpha1\n  kind: EdgeDeploymentPlan\n  metadata:\n    name: b\n  spec:\n    modelConfigs:\n    - modelHandle: counter\n      edgePackagingJobName: counter-v7\n  <fleet>"),
    File("planlist-bad.yaml", False, "apiVersion: edgeplan.dev/v1alpha1\nkind: EdgeDeploymentPlanList\nitems:\n- metadata: {name: a}\n  spec: {modelConfigs: [], deviceFleetName: 'a b'}\n"),
    File("planlist-kindonly.yaml", False, "apiVersion: edgeplan.dev/v1alpha1\nkind: EdgeDeploymentPlanList\nitems:\n- kind: EdgeDeploymentPlan\n  metadata: {name: a}\n  spec: {modelConfigs: [], deviceFleetName: f}\n"),
    File("planlist.yaml", True, "apiVersion: edgeplan.dev/v1alpha1\nkind: EdgeDeploymentPlanList\nitems:\n- metadata: {name: a}\n  spec: {modelConfigs: [], deviceFleetName: f}\n"),
    File("json-after-sep.yaml", True, "---\n<json>"),
    File("json-array.json", False, "[<json>]"),
    File("json-in.yaml", True, "\n\n<json>"),
    File("json-nbsp.json", True, "\xa0<json>"),
    File("json-sep.json", True, "<json>\n---\n<json>"),
    File("json-trail.json", False, "<json>\nfoo"),
    File("alias.yaml", True, "<head>metadata: &m {name: a, annotations: &b {x: z}}\nspec: {deviceFleetName: f, modelConfigs: [], tags: [{key: a, value: &v x}, {key: b, value: *v}]}\n"),
    File("at.yaml", False, "<head>metadata:\n  name: a\n<models>  deviceFleetName: @store\n"),
    File("backtick.yaml", False, "<head>metadata:\n  name: a\n<models>  deviceFleetName: `store\n"),
    File("block.yaml", True, "<head>metadata:\n  name: a\n<models>  deviceFleetName: |-\n    store\n"),
    File("block2.yaml", False, "<head>metadata:\n  name: a\n<models>  deviceFleetName: |\n    store\n"),
    File("colon.yaml", False, "<head>metadata:\n  name: a\n<models>  deviceFleetName:store-cameras\n"),
    File("comment.yaml", False, "# nothing\n"),
    File("dir12.yaml", False, "%YAML 1.2\n---\n<plan>"),
    File("dirs.yaml", False, "%TAG !e! tag:e,2000:\n---\n<plan>"),
    File("empty.yaml", False, ""),
    File("flowadj.yaml", True, '<anchored>spec: {"deviceFleetName":"f","modelConfigs":[]}\n'),
    File("flowcolon.yaml", True, "<anchored>spec: {deviceFleetName: f, modelConfigs: [], tags: [{key: a:b, value: 'x'}]}\n"),
    File("flowcomma.yaml", False, "<anchored>spec: {deviceFleetName: f, modelConfigs: [,], }\n"),
    File("flowempty.yaml", True, "<anchored>spec: {deviceFleetName: f, modelConfigs: [], suspend: , }\n"),
    File("flowurl.yaml", True, "<anchored>spec: {deviceFleetName: f, modelConfigs: [], tags: [{key: a, value: http://x}]}\n"),
    File("fold.yaml", False, "<head>metadata:\n  name: a\n<models>  deviceFleetName: >-\n    store\n    cam\n"),
    File("hash.yaml", False, "<head>metadata:\n  name: a\n<models>  deviceFleetName: store#x\n"),
    File("indent.yaml", False, "<plan>   tags: []\n"),
    File("keynull.yaml", False, "<plan>  null: x\n"),
    File("keynum.yaml", False, "<plan>  5: x\n"),
    File("keyseq.yaml", False, "<plan>  ? [a]\n  : b\n"),
    File("keyyes.yaml", True, "<head>metadata:\n  name: a\n  annotations: {yes: x, 1.5: z, 0x10: z}\n<models><fleet>"),
    File("laugh.yaml", False, "<anchored>a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\nspec: {deviceFleetName: f, modelConfigs: []}\n"),
    File("merge.yaml", False, "x: &b {deviceFleetName: f, modelConfigs: []}\n<plan>"),
    File("merge1.yaml", True, "<anchored>spec:\n  <<: {deviceFleetName: f, modelConfigs: []}\n"),
    File("merge2.yaml", False, "<anchored>spec:\n  deviceFleetName: f\n  <<: {deviceFleetName: 'a b', modelConfigs: []}\n"),
    File("merge3.yaml", True, "<anchored>spec:\n  <<: {deviceFleetName: 'a b', modelConfigs: []}\n  deviceFleetName: f\n"),
    File("merge4.yaml", True, "<anchored>spec:\n  <<: [{deviceFleetName: f}, {deviceFleetName: 'a b', modelConfigs: []}]\n"),
    File("merge5.yaml", False, "<anchored>spec:\n  <<: 5\n  deviceFleetName: f\n  modelConfigs: []\n"),
    File("merge6.yaml", False, "<anchored>spec:\n  '<<': {deviceFleetName: f, modelConfigs: []}\n"),
    File("merge7.yaml", False, "<anchored>spec:\n  <<: *b\n  deviceFleetName: f\n  modelConfigs: []\n"),
    File("newline-name.yaml", False, '<head>metadata:\n  name: a\n<models>  deviceFleetName: "store\\n"\n'),
    File("nulldev.yaml", False, "<plan>  stages:\n  - stageName: a\n    deviceSelectionConfig: {deviceSubsetType: SELECTION, deviceNames: [null]}\n"),
    File("nullitem.yaml", False, "<plan>  stages: [null]\n"),
    File("nullreq.yaml", False, "<head>metadata:\n  name: a\n<models>  deviceFleetName: null\n"),
    File("percent.yaml", False, "<head>metadata:\n  name: a\n<models>  deviceFleetName: %store\n"),
    File("plainmulti.yaml", False, "<head>metadata:\n  name: a\n<models>  deviceFleetName: store\n    cam\n"),
    File("quest.yaml", True, "<plan>  ? suspend\n  : true\n"),
    File("tab.yaml", False, "<head>metadata:\n  name: a\n<models>\tdeviceFleetName: store-cameras\n"),
    File("tabend.yaml", True, "<head>metadata:\n  name: a\n<models>  deviceFleetName: store-cameras\t\n"),
    File("tabval.yaml", True, "<head>metadata:\n  name: a\n<models>  deviceFleetName:\tstore-cameras\n"),
    File("unclosed.yaml", False, "<plan>  tags: [\n"),
    File("undef.yaml", False, "<anchored>spec: {deviceFleetName: *z, modelConfigs: []}\n"),
    File("unknownnull.yaml", True, "<plan>  foo: null\n"),
)  # fmt: skip

# Named files that hold nothing: kubectl refuses to apply nothing, a hook that is given every file that changed does not.
HOLD_NOTHING = {"list-empty.yaml", "comment.yaml", "empty.yaml"}


# Begin with a brace and are no JSON: kubectl reads them as YAML lately (1.37 does, 1.32 did not).
LATELY_ACCEPTED = {"json-01.json", "flow.yaml", "json-sep.json", "json-nbsp.json"}


def given() -> list[Reading]:
    """The files of manifests/."""
    with (FOLDER / "expected.tsv").open(encoding="utf-8") as table:
        rows = list(csv.reader(table, delimiter="\t"))[1:]
    return [Reading(name, (FOLDER / name).read_bytes(), verdict == "accepted") for name, verdict in rows]


def all_readings() -> list[Reading]:
    """All of them."""
    written = (one.reading() for one in FILES if one.name not in HOLD_NOTHING)
    return [*given(), *(one for values in VALUES for one in values.readings()), *written]
