"""What every record of the log tells beside its words, in the log's form for machines: object, place in AWS, version, trace."""

import functools
import logging
from importlib.metadata import version

from controller.domain.api import API_VERSION, KIND
from controller.engine.acting import ACTING
from controller.operator.tracing import TRACE_ID


@functools.cache
def own_version() -> str:
    """The version of this program."""
    return version("edgeplan")


class ContextFilter(logging.Filter):
    """Adds what is known of the work under way; a record's own words go first."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Complete the record; it always passes."""
        known: dict[str, object] = {"version": own_version()}
        if (trace := TRACE_ID.get()) is not None:
            known["traceId"] = trace
        if (acting := ACTING.get()) is not None:
            (namespace, name), resource = acting.resource.key, acting.resource
            reference = {"apiVersion": API_VERSION, "kind": KIND, "namespace": namespace, "name": name}
            known |= {"object": reference | {"uid": resource.uid}, "generation": resource.generation}
            if acting.scope is not None:
                known |= acting.scope._asdict()
        record.__dict__.update({key: value for key, value in known.items() if key not in record.__dict__})
        return True
