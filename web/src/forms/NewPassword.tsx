import { passwordFault, SHORTEST_PASSWORD } from "../password";
import { Field } from "./Field";
import type { Values } from "./useForm";

/** A new password, typed twice. */
export function NewPassword({ label }: { label: string }) {
  const hint = `${SHORTEST_PASSWORD} characters or more. A few words that belong together only for you are good.`;
  const both = { type: "password", autoComplete: "new-password", required: true };
  return (
    <>
      <Field label={label} name="password" hint={hint} {...both} />
      <Field label="The same again" name="again" {...both} />
    </>
  );
}

/** Read it; throws what is wrong with it before anything is sent. */
export function newPassword({ text }: Values): string {
  const fault = passwordFault(text("password"), text("again"));
  if (fault !== null) throw new Error(fault);
  return text("password");
}
