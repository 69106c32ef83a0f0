"""The name and description of a graph inside its document, where open clients see them change. Pure."""

from typing import Any

from pycrdt import Doc, Map

from persistence.document import DocumentUpdate, transact
from persistence.records import ServerEdit


def write_meta(document: bytes, client_id: int, name: str, description: str | None) -> ServerEdit:
    """Make the document's map `meta` say `name` and `description`; a description of None leaves none there.

    What it says already is not written again.
    """
    doc: Doc[Any] = Doc(client_id=client_id)
    doc.apply_update(document)
    wanted = {"name": name, "description": description}
    meta = doc.get("meta", type=Map)
    changed = {key: value for key, value in wanted.items() if meta.get(key) != value}
    return ServerEdit((write_fields(doc, changed),) if changed else (), changed)


def write_fields(doc: Doc[Any], fields: dict[str, str | None]) -> DocumentUpdate:
    """Set `fields` of the document's map `meta`, or remove those that are None."""
    meta = doc.get("meta", type=Map)

    def write(field: tuple[str, str | None]) -> None:
        key, value = field
        if value is None:
            del meta[key]
        else:
            meta[key] = value

    return transact(doc, list(fields.items()), write)
