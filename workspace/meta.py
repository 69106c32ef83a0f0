"""The name and description of a graph inside its document, where open clients see them change. Pure."""

from pycrdt import Map

from persistence.document import ServerEdit
from workspace.edits import Recorder


def write_meta(document: bytes, client_id: int, name: str, description: str | None) -> ServerEdit:
    """Make the document's map `meta` say `name` and `description`; a description of None leaves none there.

    What it says already is not written again.
    """
    recorder = Recorder(document, client_id)
    meta = recorder.doc.get("meta", type=Map)
    changed = {
        key: value
        for key, value in (("name", name), ("description", description))
        if (meta.get(key) if key in meta else None) != value
    }
    if changed:
        with recorder.transaction(entities=0):
            for key, value in changed.items():
                if value is None:
                    del meta[key]
                else:
                    meta[key] = value
    return ServerEdit(tuple(recorder.updates), changed)
