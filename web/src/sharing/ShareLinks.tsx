import { useCallback, useState } from "react";
import type { Role } from "../api/catalogue";
import { createShareLink, listShareLinks, revokeShareLink } from "../api/sharing";
import { Choice, DURATIONS, daysOf, FOR_EVER } from "../forms/Choice";
import { ConfirmButton } from "../forms/ConfirmButton";
import { FormFoot, Refusal } from "../forms/FormFoot";
import { Listing, Row } from "../forms/Listing";
import { rolesWithMeaning } from "../forms/RolePicker";
import { ShownOnce } from "../forms/ShownOnce";
import { useAction } from "../forms/useAction";
import { useForm } from "../forms/useForm";
import { useLoad } from "../loading";
import { Until } from "../parts/times";
import { linkTo } from "../routes";
import { ROLE_WORDS } from "../words";

/** Links that let in whoever has them. */
export function ShareLinks({ graphId }: { graphId: string }) {
  const load = useCallback((signal: AbortSignal) => listShareLinks(graphId, signal), [graphId]);
  const [links, reload] = useLoad(load);
  const [made, setMade] = useState<string | null>(null);
  const { error, run } = useAction();
  const revoke = async (id: string) => {
    if (await run(() => revokeShareLink(id))) reload();
  };
  const created = (token: string) => {
    setMade(linkTo(location.origin, "share", token));
    reload();
  };
  return (
    <section aria-label="Links">
      <h3>Links</h3>
      <Refusal error={error} />
      <Listing
        items={links}
        none="There are no links to this graph."
        retry={reload}
        row={({ id, role, expires_at }) => (
          <Row
            key={id}
            title={`Whoever has the link is ${ROLE_WORDS[role].one}`}
            facts={<Until at={expires_at} />}
          >
            <ConfirmButton
              label="Revoke"
              confirm="Really revoke"
              about="the link"
              act={() => revoke(id)}
            />
          </Row>
        )}
      />
      {made === null ? (
        <NewLinkForm graphId={graphId} created={created} />
      ) : (
        <ShownOnce
          title="The link; whoever has it can open this graph."
          value={made}
          done={() => setMade(null)}
        />
      )}
    </section>
  );
}

interface NewLinkFormProps {
  graphId: string;
  created: (token: string) => void;
}

function NewLinkForm({ graphId, created }: NewLinkFormProps) {
  const { busy, error, onSubmit } = useForm(async ({ text }) => {
    const days = daysOf(text("days"));
    const { token } = await createShareLink(graphId, text("role") as Role, days);
    created(token);
  });
  return (
    <form className="form inline" onSubmit={onSubmit}>
      <Choice
        label="Whoever has it is"
        name="role"
        defaultValue="viewer"
        options={rolesWithMeaning(["member", "viewer"])}
      />
      <Choice label="Valid for" name="days" defaultValue="7" options={[...DURATIONS, FOR_EVER]} />
      <FormFoot busy={busy} error={error} label="Make a link" busyLabel="Making…" />
    </form>
  );
}
