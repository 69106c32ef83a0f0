import type { Me } from "../api/account";
import { EntryCard } from "../parts/EntryCard";
import { SignInForm } from "../parts/SignInForm";

/** Shown where one wanted to be, so that one is there afterwards. `last` is whose session ended. */
export function SignInPage({ last }: { last: Me | null }) {
  const lead = last
    ? `Your session ended, ${last.name}. Sign in again to go on where you were.`
    : "Accounts come by invitation. If a link was shared with you, open it again.";
  return (
    <EntryCard title="Sign in" lead={lead}>
      <SignInForm username={last?.username} />
    </EntryCard>
  );
}
