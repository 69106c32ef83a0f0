import { useCallback, useState } from "react";
import type { Role } from "../../api/catalogue";
import { type Invitation, invite, listInvitations, revokeInvitation } from "../../api/groups";
import { Choice, DURATIONS } from "../../forms/Choice";
import { ConfirmButton } from "../../forms/ConfirmButton";
import { FormFoot, Refusal } from "../../forms/FormFoot";
import { Listing, Row } from "../../forms/Listing";
import { ROLES, rolesWithMeaning } from "../../forms/RolePicker";
import { ShownOnce } from "../../forms/ShownOnce";
import { useAction } from "../../forms/useAction";
import { useForm } from "../../forms/useForm";
import { useLoad } from "../../loading";
import { Panel } from "../../parts/Panel";
import { Until } from "../../parts/times";
import { linkTo } from "../../routes";
import { ROLE_WORDS } from "../../words";

/** Links by which somebody joins the group, once each. */
export function Invitations({ groupId }: { groupId: string }) {
  const load = useCallback((signal: AbortSignal) => listInvitations(groupId, signal), [groupId]);
  const [invitations, reload] = useLoad(load);
  const [made, setMade] = useState<string | null>(null);
  const { error, run } = useAction();
  const revoke = async (id: string) => {
    if (await run(() => revokeInvitation(id))) reload();
  };
  const created = (token: string) => {
    setMade(linkTo(location.origin, "invitation", token));
    reload();
  };
  return (
    <Panel title="Invitations" lead="Each link lets one person in.">
      <Refusal error={error} />
      <Listing
        items={invitations}
        none="Nobody is invited at the moment."
        retry={reload}
        row={(invitation) => (
          <InvitationRow
            key={invitation.id}
            invitation={invitation}
            revoke={() => revoke(invitation.id)}
          />
        )}
      />
      {made === null ? (
        <InviteForm groupId={groupId} created={created} />
      ) : (
        <ShownOnce
          title="The invitation's link; give it to one person."
          value={made}
          done={() => setMade(null)}
        />
      )}
    </Panel>
  );
}

function InvitationRow({ invitation, revoke }: { invitation: Invitation; revoke: () => void }) {
  const what = `As ${ROLE_WORDS[invitation.role].one}`;
  return (
    <Row title={what} facts={<Until at={invitation.expires_at} />}>
      <ConfirmButton
        label="Revoke"
        confirm="Really revoke"
        about={`the invitation ${what.toLowerCase()}`}
        act={revoke}
      />
    </Row>
  );
}

interface InviteFormProps {
  groupId: string;
  created: (token: string) => void;
}

function InviteForm({ groupId, created }: InviteFormProps) {
  const { busy, error, onSubmit } = useForm(async ({ text }) => {
    const { token } = await invite(groupId, text("role") as Role, Number(text("days")));
    created(token);
  });
  return (
    <form className="form inline" onSubmit={onSubmit}>
      <Choice label="Role" name="role" defaultValue="member" options={rolesWithMeaning(ROLES)} />
      <Choice label="Valid for" name="days" defaultValue="7" options={DURATIONS} />
      <FormFoot busy={busy} error={error} label="Make a link" busyLabel="Making…" />
    </form>
  );
}
