import { Field } from "../forms/Field";
import { FormFoot } from "../forms/FormFoot";
import { useForm } from "../forms/useForm";
import { signIn } from "../session/session";
import { signInSentence } from "../words";

/** `username` is who was signed in here until now. */
export function SignInForm({ username }: { username?: string | undefined }) {
  const { busy, error, onSubmit } = useForm(
    ({ text }) => signIn(text("username"), text("password")),
    signInSentence,
  );
  return (
    <form className="form" onSubmit={onSubmit}>
      <Field
        label="Username"
        name="username"
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        required
        defaultValue={username}
        autoFocus={username === undefined}
      />
      <Field
        label="Password"
        name="password"
        type="password"
        autoComplete="current-password"
        required
        autoFocus={username !== undefined}
      />
      <FormFoot busy={busy} error={error} label="Sign in" busyLabel="Signing in…" />
    </form>
  );
}
