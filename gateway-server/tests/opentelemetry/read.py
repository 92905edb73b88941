"""Reads files of OTLP JSON lines with the classes that OpenTelemetry generates from its protocol.

Prints each log record as one line of JSON. Fails for what is no ExportLogsServiceRequest, has a field that this does not know, or
does not come back from it as it was.
"""

import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest


def plain(attributes):
    """Attributes as a dictionary; each has one value, which is a text or a number."""
    found = {}
    for attribute in attributes:
        assert attribute.key not in found, f"{attribute.key} is there twice"
        found[attribute.key] = getattr(attribute.value, attribute.value.WhichOneof("value"))
    return found


for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        lines = file.readlines()
    assert lines, f"{path} has no line"
    for line in lines:
        request = json_format.Parse(line, ExportLogsServiceRequest(), ignore_unknown_fields=False)
        again = json_format.MessageToDict(request, use_integers_for_enums=True)
        assert again == json.loads(line), f"{line} is read as {again}"
        for resource in request.resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    print(json.dumps({
                        "resource": plain(resource.resource.attributes),
                        "scope": scope.scope.name,
                        "time": record.time_unix_nano,
                        "observed": record.observed_time_unix_nano,
                        "severity": record.severity_number,
                        "severity_text": record.severity_text,
                        "event": record.event_name,
                        "body": record.body.string_value,
                        "attributes": plain(record.attributes),
                    }))
