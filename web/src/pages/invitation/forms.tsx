import type { NewAccount } from "../../api/invitation";
import { Field } from "../../forms/Field";
import { FormFoot } from "../../forms/FormFoot";
import { NewPassword, newPassword } from "../../forms/NewPassword";
import { useForm } from "../../forms/useForm";

const NAME_LIMIT = 200;

export function NewAccountForm({ accept }: { accept: (account: NewAccount) => Promise<void> }) {
  const { busy, error, onSubmit } = useForm(async (values) => {
    const { text } = values;
    const names = { username: text("username").trim(), name: text("name").trim() };
    await accept({ ...names, password: newPassword(values) });
  });
  return (
    <form className="form" onSubmit={onSubmit}>
      <Field
        label="Username"
        name="username"
        hint="You sign in with it."
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        maxLength={NAME_LIMIT}
        required
        autoFocus
      />
      <Field
        label="Full name"
        name="name"
        hint="The others see it while you edit."
        autoComplete="name"
        maxLength={NAME_LIMIT}
        required
      />
      <NewPassword label="Password" />
      <FormFoot busy={busy} error={error} label="Create account" busyLabel="Creating…" />
    </form>
  );
}

interface NewPasswordFormProps {
  username: string;
  accept: (password: string) => Promise<void>;
}

/** The username is there for password managers, which keep both together. */
export function NewPasswordForm({ username, accept }: NewPasswordFormProps) {
  const { busy, error, onSubmit } = useForm(async (values) => accept(newPassword(values)));
  return (
    <form className="form" onSubmit={onSubmit}>
      <input className="unseen" readOnly tabIndex={-1} autoComplete="username" value={username} />
      <NewPassword label="New password" />
      <FormFoot busy={busy} error={error} label="Set password" busyLabel="Setting…" />
    </form>
  );
}
