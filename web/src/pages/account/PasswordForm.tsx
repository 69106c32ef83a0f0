import { useState } from "react";
import { changePassword } from "../../api/account";
import { Field } from "../../forms/Field";
import { FormFoot } from "../../forms/FormFoot";
import { NewPassword, newPassword } from "../../forms/NewPassword";
import { useForm } from "../../forms/useForm";
import { Panel } from "../../parts/Panel";

export function PasswordForm() {
  const [changes, setChanges] = useState(0);
  const { busy, error, onSubmit } = useForm(async (values) => {
    await changePassword(values.text("old"), newPassword(values));
    setChanges(changes + 1);
  });
  return (
    <Panel title="Password" lead="A new one ends all your other sessions.">
      <form className="form" key={changes} onSubmit={onSubmit}>
        <Field
          label="Old password"
          name="old"
          type="password"
          autoComplete="current-password"
          required
        />
        <NewPassword label="New password" />
        <FormFoot busy={busy} error={error} label="Change password" busyLabel="Changing…" />
      </form>
      <p className="hint" aria-live="polite">
        {changes > 0 && "Changed. All other sessions have ended."}
      </p>
    </Panel>
  );
}
