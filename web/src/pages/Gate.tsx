import type { ReactNode } from "react";
import { Notice } from "../parts/Notice";
import { ask } from "../session/session";
import { SignedInProvider, useWho } from "../session/useWho";
import { sentenceOf } from "../words";
import { SignInPage } from "./SignInPage";

/**
 * Lets in who is signed in. When the session ends, the page stays below the sign-in, so that nothing typed
 * or not yet saved is lost; the same person goes on there, another one starts anew.
 */
export function Gate({ children }: { children: ReactNode }) {
  const known = useWho();
  if (known.state === "asking") return <p className="loading">Opening Layercake…</p>;
  if (known.state === "failed") return <NoAnswer error={known.error} />;
  const me = known.state === "somebody" ? known.me : known.last;
  if (me === null) return <SignInPage last={null} />;
  const ended = known.state === "nobody";
  return (
    <SignedInProvider value={me}>
      <div key={me.id} className="gated" inert={ended}>
        {children}
      </div>
      {ended && (
        <div className="cover">
          <SignInPage last={me} />
        </div>
      )}
    </SignedInProvider>
  );
}

function NoAnswer({ error }: { error: Error }) {
  return (
    <main className="middle">
      <Notice title="Layercake did not open" advice={sentenceOf(error)} tone="bad">
        <button type="button" className="button primary" onClick={ask}>
          Try again
        </button>
      </Notice>
    </main>
  );
}
