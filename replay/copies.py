"""A copy is rebuilt: its base becomes what its parent is now.

Pure. These functions take long for large graphs: a server runs them in a worker process.
"""

import hashlib
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
from pycrdt import Doc

from persistence.document import GraphContent, read_content
from persistence.records import ServerEdit
from replay.lineage import base_for_copy
from replay.rebuilding import RebuildRequest, preview, rebuild


def rebuild_copy(
    request: RebuildRequest, parent_id: UUID, parent: bytes, document: bytes, client_id: int
) -> ServerEdit:
    """Do what `rebuild` does, with what the document `parent` holds as the base (a `Build`)."""
    return rebuild(_with_base(request, parent_id, parent, document), document, client_id)


def preview_copy(request: RebuildRequest, parent_id: UUID, parent: bytes, document: bytes) -> bytes:
    """Do what `preview` does, with what the document `parent` holds as the base."""
    return preview(_with_base(request, parent_id, parent, document), document)


def _with_base(request: RebuildRequest, parent_id: UUID, parent: bytes, document: bytes) -> RebuildRequest:
    base = base_for_copy(_content(parent_id, parent), _content(request.graph_id, document))
    content = orjson.dumps(base)
    digest = hashlib.sha256(content).hexdigest()
    return replace(request, base=replace(request.base, content=content, data_digest=digest))


def _content(graph_id: UUID, document: bytes) -> GraphContent:
    doc: Doc[Any] = Doc()
    doc.apply_update(document)
    return read_content(doc, graph_id)
