import { useCallback } from "react";
import { type Access, type GraphRole, listAccess, resetAccess, setAccess } from "../api/sharing";
import { Refusal } from "../forms/FormFoot";
import { Listing, Row } from "../forms/Listing";
import { ROLES, RolePicker } from "../forms/RolePicker";
import { useAction } from "../forms/useAction";
import { useLoad } from "../loading";
import { useMe } from "../session/useWho";
import { ROLE_WORDS } from "../words";
import { AddPerson } from "./AddPerson";

const GRAPH_ROLES = [...ROLES, "none"] as const;
const SOURCE_WORDS = { group: "by the group", graph: "in this graph" };

export function PeopleWithAccess({ graphId }: { graphId: string }) {
  const load = useCallback((signal: AbortSignal) => listAccess(graphId, signal), [graphId]);
  const [people, reload] = useLoad(load);
  const { busy, error, run } = useAction();
  const act = async (change: () => Promise<void>) => {
    if (await run(change)) reload();
  };
  const give = (userId: string, role: GraphRole) => act(() => setAccess(graphId, userId, role));
  return (
    <section aria-label="People">
      <h3>People</h3>
      <Refusal error={error} />
      <Listing
        items={people}
        none="Nobody may open it."
        retry={reload}
        row={(person) => (
          <PersonRow
            key={person.user_id}
            person={person}
            busy={busy}
            give={(role) => give(person.user_id, role)}
            reset={() => act(() => resetAccess(graphId, person.user_id))}
          />
        )}
      />
      {people.state === "ready" && <AddPerson known={people.value} add={give} busy={busy} />}
    </section>
  );
}

interface PersonRowProps {
  person: Access;
  busy: boolean;
  give: (role: GraphRole) => void;
  reset: () => void;
}

/** Who is admin by the group stays so in every graph of it. */
function PersonRow({ person, busy, give, reset }: PersonRowProps) {
  const { name, username, role, source } = person;
  const isOwn = useMe().id === person.user_id;
  const facts = `${username}, ${SOURCE_WORDS[source]}`;
  return (
    <Row title={isOwn ? `${name} (you)` : name} facts={facts}>
      {source === "group" && role === "admin" ? (
        <span className="badge">{ROLE_WORDS.admin.name}</span>
      ) : (
        <RolePicker about={name} roles={GRAPH_ROLES} role={role} busy={busy} pick={give} />
      )}
      {source === "graph" && (
        <button type="button" className="button" disabled={busy} onClick={reset}>
          As in the group<span className="unseen"> for {name}</span>
        </button>
      )}
    </Row>
  );
}
