"""Random requests that fit the description of the API, from every role (SPEC.md, ISO-13; also run by `make soak`)."""

import asyncio
import os
import random
import re
from collections.abc import Mapping
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from persistence.database import Database
from tests.integration.crawl import METHODS, ids_of
from tests.integration.tenants import Tenants, two_tenants

EXAMPLES = int(os.environ.get("LAYERCAKE_API_EXAMPLES", "3"))
SEED = int(os.environ.get("LAYERCAKE_API_SEED", random.SystemRandom().randrange(2**32)))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

PUBLIC = r"(GET /(healthz|readyz|metrics)|POST /api/(auth/(login|refresh|logout)|invitations/(look|accept)))$"
"""What needs nobody to be known."""
OWN = r"\w+ /api/(auth/|invitations/(look|accept)$)"
"""What everybody with an account may do with it."""
RIGHTS = r"\w+ /api/(users|audit|.*/(access|share-links|invitations))"
MANAGE = rf"(DELETE (?!.*/inputs/)|POST .*/restore$|GET /api/projects/.*/bin$|{RIGHTS})"
"""What only admins of the group or of the installation may do."""
READ = rf"{PUBLIC}|{OWN}|(?!{MANAGE})GET |POST .*/replay/preview$"
# Who asks, in this order, and what they can be answered 2xx to; the last may delete what the others ask about.
MAY = {
    None: PUBLIC,
    "theirs:admin": "",
    "chief": "",
    "mine:guest": READ,
    "mine:viewer": READ,
    "mine:reader": READ,
    "mine:member": rf"{PUBLIC}|{OWN}|(?!{MANAGE})",
    "mine:admin": "",
}
IDS = ("{graph_id}", "{project_id}", "{operation_id}")


async def test_ISO_13_no_request_ends_in_an_error_or_is_answered_to_who_may_not_ask(
    database: Database, database_url: str
) -> None:
    """ISO-13: LAYERCAKE_API_SEED repeats a run, LAYERCAKE_API_EXAMPLES is how often each role asks each route."""
    print(f"LAYERCAKE_API_SEED={SEED}")
    async with two_tenants(database, database_url) as tenants:
        async with tenants.http(None) as http:
            description = (await http.get("/openapi.json")).json()
        await asyncio.to_thread(ask_everything, tenants, description)


def ask_everything(tenants: Tenants, description: Mapping[str, Any]) -> None:
    """Ask every operation of the description, those that delete last."""
    schema = schemathesis.openapi.from_dict(dict(description))
    found = [operation.ok() for operation in schema.get_all_operations()]
    assert len(found) > 30
    with requests.Session() as session:
        for operation in sorted(found, key=lambda one: METHODS.index(one.method)):
            ask(tenants, session, operation)


def ask(tenants: Tenants, session: requests.Session, operation: APIOperation) -> None:
    """Ask one operation EXAMPLES times as everybody, about what is mine or theirs."""

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=HealthCheck
    )
    @given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE), st.sampled_from(["mine", "mine", "theirs"]))
    def answered(case: Case, whose: str) -> None:
        group = tenants.groups.mine if whose == "mine" else tenants.groups.theirs
        ids = {name: one.value for name, one in ids_of(group).items()}
        case.path_parameters = {name: ids.get(name, value) for name, value in case.path_parameters.items()}
        if isinstance(case.body, dict):
            case.body.pop("is_active", None)  # the door of this server does not keep out who is disabled
        for token in MAY:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            response = case.call(base_url=f"http://127.0.0.1:{tenants.port}", headers=headers, session=session)
            case.validate_response(response, checks=CHECKS)
            allowed = is_allowed(token, whose, operation)
            assert response.status_code >= 300 or allowed, (token, whose, operation.label, response.status_code)

    answered()


def is_allowed(token: str | None, whose: str, operation: APIOperation) -> bool:
    """Return whether somebody may be answered 2xx about ids of one of the groups."""
    if any(name in operation.path for name in IDS) and not (token or "").startswith(f"{whose}:"):
        return False
    return re.match(MAY[token], operation.label) is not None
