import { useState } from "react";
import { rename } from "../../api/account";
import { Field } from "../../forms/Field";
import { FormFoot } from "../../forms/FormFoot";
import { useForm } from "../../forms/useForm";
import { Panel } from "../../parts/Panel";
import { ask } from "../../session/session";
import { useMe } from "../../session/useWho";

export function ProfileForm() {
  const me = useMe();
  const [kept, setKept] = useState(false);
  const { busy, error, onSubmit } = useForm(async ({ text }) => {
    await rename(text("name").trim());
    await ask();
    setKept(true);
  });
  return (
    <Panel title="Profile" lead={`You sign in as ${me.username}.`}>
      <form className="form" onSubmit={onSubmit} onChange={() => setKept(false)}>
        <Field
          label="Full name"
          name="name"
          defaultValue={me.name}
          maxLength={200}
          autoComplete="name"
          required
        />
        <FormFoot busy={busy} error={error} label="Change name" busyLabel="Changing…" />
        <p className="hint" aria-live="polite">
          {kept && "Changed."}
        </p>
      </form>
    </Panel>
  );
}
