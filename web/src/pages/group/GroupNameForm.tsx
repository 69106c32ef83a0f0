import { type Group, renameGroup } from "../../api/groups";
import { Field } from "../../forms/Field";
import { FormFoot } from "../../forms/FormFoot";
import { useForm } from "../../forms/useForm";
import { Panel } from "../../parts/Panel";

export function GroupNameForm({ group, renamed }: { group: Group; renamed: () => void }) {
  const { busy, error, onSubmit } = useForm(async ({ text }) => {
    await renameGroup(group.id, text("name").trim());
    renamed();
  });
  return (
    <Panel title="Name">
      <form className="form inline" onSubmit={onSubmit}>
        <Field
          label="Name of the group"
          name="name"
          defaultValue={group.name}
          maxLength={200}
          required
        />
        <FormFoot busy={busy} error={error} label="Rename" busyLabel="Renaming…" />
      </form>
    </Panel>
  );
}
