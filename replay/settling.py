"""A conflict is settled for the edit: what upstream has now becomes what the edit found.

Pure.
"""

from collections.abc import Mapping
from typing import Any


def settled(operation: Mapping[str, Any], fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return an operation, as JSON, that is in no conflict with the upstream values of `fields` (`FieldConflict`s)."""
    upstream = {name: conflict["upstream"] for name, conflict in fields.items()}
    if "new_values" in operation:
        return {**operation, "old_values": {**operation["old_values"], **upstream}}
    kind = str(operation["type"]).partition("_")[0]
    entity = {**operation[kind], **upstream}
    return {**operation, kind: {name: value for name, value in entity.items() if value is not None}}
