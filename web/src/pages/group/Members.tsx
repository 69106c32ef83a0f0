import { useCallback } from "react";
import type { Role } from "../../api/catalogue";
import { listMembers, type Member, removeMember, setMemberRole } from "../../api/groups";
import { ConfirmButton } from "../../forms/ConfirmButton";
import { Refusal } from "../../forms/FormFoot";
import { Listing, Row } from "../../forms/Listing";
import { ROLES, RolePicker } from "../../forms/RolePicker";
import { useAction } from "../../forms/useAction";
import { useLoad } from "../../loading";
import { Panel } from "../../parts/Panel";
import { HOME_HREF } from "../../routes";
import { useMe } from "../../session/useWho";
import { ROLE_WORDS } from "../../words";

interface MembersProps {
  groupId: string;
  /** Whether who looks may change them. */
  isAdmin: boolean;
  roleChanged: () => void;
}

export function Members({ groupId, isAdmin, roleChanged }: MembersProps) {
  const load = useCallback((signal: AbortSignal) => listMembers(groupId, signal), [groupId]);
  const [members, reload] = useLoad(load);
  const { busy, error, run } = useAction();
  const ownId = useMe().id;
  const changeRole = async (member: Member, role: Role) => {
    if (!(await run(() => setMemberRole(groupId, member.user_id, role)))) return;
    reload();
    if (member.user_id === ownId) roleChanged();
  };
  const remove = async (member: Member) => {
    if (!(await run(() => removeMember(groupId, member.user_id)))) return;
    if (member.user_id === ownId) location.hash = HOME_HREF;
    else reload();
  };
  return (
    <Panel title="Members">
      <Refusal error={error} />
      <Listing
        items={members}
        none="Nobody is in this group yet. Invite somebody."
        retry={reload}
        row={(member) => (
          <MemberRow
            key={member.user_id}
            member={member}
            isOwn={member.user_id === ownId}
            isAdmin={isAdmin}
            busy={busy}
            changeRole={(role) => changeRole(member, role)}
            remove={() => remove(member)}
          />
        )}
      />
    </Panel>
  );
}

interface MemberRowProps {
  member: Member;
  isOwn: boolean;
  isAdmin: boolean;
  busy: boolean;
  changeRole: (role: Role) => void;
  remove: () => void;
}

function MemberRow({ member, isOwn, isAdmin, busy, changeRole, remove }: MemberRowProps) {
  const { name, username, role, is_active } = member;
  const [verb, about] = isOwn ? ["Leave", "the group"] : ["Remove", name];
  return (
    <Row
      title={isOwn ? `${name} (you)` : name}
      facts={is_active ? username : `${username}, disabled`}
    >
      {isAdmin ? (
        <RolePicker about={name} roles={ROLES} role={role} busy={busy} pick={changeRole} />
      ) : (
        <span className="badge">{ROLE_WORDS[role].name}</span>
      )}
      {(isAdmin || isOwn) && (
        <ConfirmButton
          label={verb}
          confirm={`Really ${verb.toLowerCase()}`}
          about={about}
          act={remove}
        />
      )}
    </Row>
  );
}
