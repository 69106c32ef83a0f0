import { createGroup, listGroups } from "../../api/groups";
import { Field } from "../../forms/Field";
import { FormFoot } from "../../forms/FormFoot";
import { Listing, Row } from "../../forms/Listing";
import { useForm } from "../../forms/useForm";
import { useLoad } from "../../loading";
import { Panel } from "../../parts/Panel";
import { groupHref } from "../../routes";
import { ROLE_WORDS } from "../../words";

export function Groups() {
  const [groups, reload] = useLoad(listGroups);
  const { busy, error, onSubmit } = useForm(async ({ text }) => {
    const { id } = await createGroup(text("name").trim());
    location.hash = groupHref(id);
  });
  return (
    <Panel title="Groups" lead="Each has its own projects; you see those of the groups you are in.">
      <Listing
        items={groups}
        none="There are no groups yet."
        retry={reload}
        row={({ id, name, role }) => (
          <Row
            key={id}
            title={<a href={groupHref(id)}>{name}</a>}
            facts={role ? `You are ${ROLE_WORDS[role].one}` : "You are not in it"}
          />
        )}
      />
      <form className="form inline" onSubmit={onSubmit}>
        <Field label="Name of a new group" name="name" maxLength={200} required />
        <FormFoot busy={busy} error={error} label="New group" busyLabel="Creating…" />
      </form>
    </Panel>
  );
}
