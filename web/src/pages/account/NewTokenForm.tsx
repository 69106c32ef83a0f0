import { createToken, type Scope } from "../../api/account";
import { Choice, DURATIONS, daysOf, FOR_EVER } from "../../forms/Choice";
import { Field } from "../../forms/Field";
import { FormFoot } from "../../forms/FormFoot";
import { useForm } from "../../forms/useForm";

const SCOPES: [Scope, string][] = [
  ["read", "Read what you can read"],
  ["edit", "Edit what you can edit"],
  ["manage", "Manage what you manage"],
];

export function NewTokenForm({ created }: { created: (token: string) => void }) {
  const { busy, error, onSubmit } = useForm(async ({ text, ticked }) => {
    const scopes = ticked("scopes") as Scope[];
    if (scopes.length === 0) throw new Error("Tick what the token may be used for.");
    const expires_in_days = daysOf(text("days"));
    const { token } = await createToken({ name: text("name").trim(), scopes, expires_in_days });
    created(token);
  });
  return (
    <form className="form" onSubmit={onSubmit}>
      <Field
        label="Name of the new token"
        name="name"
        placeholder="For example: nightly import"
        maxLength={200}
        required
      />
      <fieldset className="ticks">
        <legend>It may be used to</legend>
        {SCOPES.map(([scope, words]) => (
          <label key={scope}>
            <input type="checkbox" name="scopes" value={scope} defaultChecked={scope === "read"} />
            {words}
          </label>
        ))}
      </fieldset>
      <Choice
        label="Expires after"
        name="days"
        defaultValue="30"
        options={[...DURATIONS, FOR_EVER]}
      />
      <FormFoot busy={busy} error={error} label="Create token" busyLabel="Creating…" />
    </form>
  );
}
