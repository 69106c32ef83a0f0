import { useCallback, useState } from "react";
import { acceptInvitation, type InvitationSeen, lookAtInvitation } from "../api/invitation";
import { ProblemError } from "../api/send";
import { Refusal } from "../forms/FormFoot";
import { useAction } from "../forms/useAction";
import { useLoad } from "../loading";
import { EntryCard } from "../parts/EntryCard";
import { Notice } from "../parts/Notice";
import { SignInForm } from "../parts/SignInForm";
import { HOME_HREF } from "../routes";
import { enter, signOut } from "../session/session";
import { useWho } from "../session/useWho";
import { ROLE_WORDS, sentenceOf } from "../words";
import { NewAccountForm, NewPasswordForm } from "./invitation/forms";

/** Follow an invitation's link. Its token leaves the address bar once it is used. */
export function InvitationPage({ token }: { token: string }) {
  const load = useCallback((signal: AbortSignal) => lookAtInvitation(token, signal), [token]);
  const [invitation, reload] = useLoad(load);
  if (invitation.state === "loading") return <p className="loading">Reading the invitation…</p>;
  if (invitation.state === "failed") return <NotReadable error={invitation.error} retry={reload} />;
  if (invitation.value.kind === "group") return <Join token={token} seen={invitation.value} />;
  return <ChoosePassword token={token} seen={invitation.value} />;
}

interface StepProps {
  token: string;
  seen: InvitationSeen;
}

function ChoosePassword({ token, seen }: StepProps) {
  const accept = (password: string) => follow(token, { password });
  return (
    <EntryCard title="Choose your password" lead={`For your account ${seen.username ?? ""}.`}>
      <NewPasswordForm username={seen.username ?? ""} accept={accept} />
    </EntryCard>
  );
}

function Join({ token, seen }: StepProps) {
  const known = useWho();
  const [hasAccount, setHasAccount] = useState(false);
  const title = `Join ${seen.group_name}`;
  const lead = `You are invited as ${ROLE_WORDS[seen.role ?? "viewer"].one}.`;
  if (known.state === "asking") return <p className="loading">Reading the invitation…</p>;
  if (known.state === "somebody") {
    return (
      <EntryCard title={title} lead={lead}>
        <JoinAs token={token} name={known.me.name} />
      </EntryCard>
    );
  }
  return (
    <EntryCard title={title} lead={lead}>
      {hasAccount ? (
        <SignInForm />
      ) : (
        <NewAccountForm accept={(account) => follow(token, account)} />
      )}
      <button type="button" className="link-button" onClick={() => setHasAccount(!hasAccount)}>
        {hasAccount ? "I have no account yet" : "I have an account already"}
      </button>
    </EntryCard>
  );
}

function JoinAs({ token, name }: { token: string; name: string }) {
  const { busy, error, run } = useAction();
  return (
    <div className="form">
      <Refusal error={error} />
      <button
        type="button"
        className="button primary"
        disabled={busy}
        onClick={() => run(() => follow(token, null))}
      >
        {busy ? "Joining…" : `Join as ${name}`}
      </button>
      <button type="button" className="link-button" disabled={busy} onClick={() => run(signOut)}>
        I am somebody else
      </button>
    </div>
  );
}

async function follow(token: string, account: Parameters<typeof acceptInvitation>[1]) {
  await enter(await acceptInvitation(token, account));
  location.replace(HOME_HREF);
}

function NotReadable({ error, retry }: { error: Error; retry: () => void }) {
  const gone = error instanceof ProblemError && error.status === 404;
  return (
    <main className="middle">
      {gone ? (
        <Notice
          title="This invitation no longer works"
          advice="It was used, has expired or was revoked. Ask for a new one, or sign in if you have used it."
          tone="bad"
        >
          <a className="button primary" href={HOME_HREF}>
            Sign in
          </a>
        </Notice>
      ) : (
        <Notice title="The invitation could not be read" advice={sentenceOf(error)} tone="bad">
          <button type="button" className="button primary" onClick={retry}>
            Try again
          </button>
        </Notice>
      )}
    </main>
  );
}
