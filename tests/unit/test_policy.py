"""All of `auth.policy.may`: the expected table is written by hand, every combination is asked (SPEC.md, ISO-8)."""

from collections import Counter
from itertools import product
from typing import NamedTuple, get_args
from uuid import UUID

import pytest

from auth.policy import OPERATOR, Action, Credential, Kind, Principal, Resource, Role, may
from persistence.records import Grant

# What of, who, what they are there, what they may. "granted": by a token that gives a role in one graph; "-": nothing.
EXPECTED = """
    graph         somebody   admin     read edit manage
    graph         somebody   member    read edit
    graph         somebody   viewer    read
    graph         somebody   -         -
    graph         granted    admin     read edit manage
    graph         granted    member    read edit
    graph         granted    viewer    read
    graph         granted    -         -
    project       somebody   admin     read edit manage
    project       somebody   member    read edit
    project       somebody   viewer    read
    project       somebody   -         -
    project       granted    admin     -
    project       granted    member    -
    project       granted    viewer    -
    project       granted    -         -
    group         somebody   admin     read edit manage
    group         somebody   member    read edit
    group         somebody   viewer    read
    group         somebody   -         -
    group         granted    admin     -
    group         granted    member    -
    group         granted    viewer    -
    group         granted    -         -
    account       open       any       -
    account       signed-in  any       read edit manage
    account       granted    any       -
    installation  user       any       -
    installation  admin      any       read edit manage
    installation  granted    any       -
"""
SCOPES = {
    "all": frozenset({Action.READ, Action.EDIT, Action.MANAGE}),
    "edit": frozenset({Action.READ, Action.EDIT}),
    "read": frozenset({Action.READ}),
    "manage": frozenset({Action.MANAGE}),
    "none": frozenset[Action](),
}
CREDENTIALS = get_args(Credential.__annotations__["kind"])
ROLES = (Role.ADMIN, Role.MEMBER, Role.VIEWER, None)


class Row(NamedTuple):
    """A line of the table."""

    kind: str
    who: str
    role: str
    rights: frozenset[str]


LINES = map(str.split, EXPECTED.strip().splitlines())
ROWS = tuple(Row(kind, who, role, frozenset(rights) - {"-"}) for kind, who, role, *rights in LINES)


def names(principal: Principal) -> set[str]:
    """What the table may call the principal."""
    if principal.grant is not None:
        return {"granted"}
    signed_in = "open" if principal.credential.kind == "open" else "signed-in"
    return {"somebody", signed_in, "admin" if principal.is_admin else "user"}


def row_for(principal: Principal, resource: Resource) -> Row:
    role = resource.role or "-"
    (found,) = [
        row for row in ROWS if row.kind == resource.kind and row.who in names(principal) and row.role in {role, "any"}
    ]
    return found


@pytest.mark.parametrize("scopes", SCOPES)
def test_ISO_8_every_combination_is_answered_as_the_table_says(scopes: str) -> None:
    """ISO-8: all credentials, admin or not, granted or not, all roles, kinds and actions, under each set of scopes."""
    used: Counter[Row] = Counter()
    grants = (None, *(Grant(UUID(int=7), role.value) for role in Role))
    for credential, is_admin, grant, kind, role, action in product(
        CREDENTIALS, (False, True), grants, Kind, ROLES, Action
    ):
        principal = Principal(
            UUID(int=1), "Ada", "person", Credential(credential), is_admin, grant, scopes=SCOPES[scopes]
        )
        row = row_for(principal, Resource(kind, role))
        used[row] += 1
        expected = action.value in row.rights and action in SCOPES[scopes]
        assert may(principal, action, Resource(kind, role)) is expected, (principal, action, kind, role)
    assert set(used) == set(ROWS)
    assert len(CREDENTIALS) == 5


def test_ISO_8_kinds_of_principals_do_not_matter() -> None:
    """ISO-8: an agent may what its person may."""
    for kind, role, action in product(Kind, ROLES, Action):
        person, agent = (Principal(UUID(int=1), "Ada", who, Credential("token")) for who in ("person", "agent"))
        assert may(person, action, Resource(kind, role)) is may(agent, action, Resource(kind, role))


def test_ISO_8_the_operator_sees_everything_and_has_no_account() -> None:
    """ISO-8."""
    assert OPERATOR.caller.is_everywhere
    assert all(may(OPERATOR, action, Resource(Kind.INSTALLATION)) for action in Action)
    assert not any(may(OPERATOR, action, Resource(Kind.ACCOUNT)) for action in Action)


def test_ISO_8_only_who_is_not_asked_who_they_are_is_everywhere() -> None:
    """ISO-8: being an admin of the installation shows no group's rows."""
    for credential in CREDENTIALS:
        principal = Principal(UUID(int=1), "Ada", "person", Credential(credential), is_admin=True)
        assert principal.caller.is_everywhere is (credential == "open")


def test_ISO_8_an_unknown_role_is_no_role_at_all() -> None:
    """ISO-8: what the store may hold one day is not taken for something."""
    assert Resource.of(Kind.GRAPH, None).role is None
    with pytest.raises(ValueError, match="owner"):
        Resource.of(Kind.GRAPH, "owner")
