import { useCallback, useEffect } from "react";
import { getGuest } from "../api/account";
import { ProblemError } from "../api/send";
import { useLoad } from "../loading";
import { Notice } from "../parts/Notice";
import { graphHref, HOME_HREF } from "../routes";
import { keepShare } from "../session/share";

/** Follow a share link: to its graph, with the token out of the address bar. */
export function SharePage({ token }: { token: string }) {
  const load = useCallback((signal: AbortSignal) => getGuest(token, signal), [token]);
  const [guest, reload] = useLoad(load);
  const graphId = guest.state === "ready" ? guest.value.graph?.id : undefined;
  useEffect(() => {
    if (graphId === undefined) return;
    keepShare(sessionStorage, { graphId, token });
    location.replace(graphHref(graphId));
  }, [graphId, token]);
  if (guest.state === "loading" || graphId !== undefined) {
    return <p className="loading">Opening the graph…</p>;
  }
  const expired = guest.state === "ready" || isRefused(guest.error);
  return expired ? <ShareEnded /> : <NotOpened error={guest.error} retry={reload} />;
}

export function ShareEnded() {
  return (
    <main className="middle">
      <Notice
        title="This link no longer works"
        advice="It has expired or was revoked. Ask whoever shared the graph for a new one."
        tone="bad"
      >
        <a className="button" href={HOME_HREF}>
          Sign in
        </a>
      </Notice>
    </main>
  );
}

function NotOpened({ error, retry }: { error: Error; retry: () => void }) {
  return (
    <main className="middle">
      <Notice title="The graph did not open" advice={error.message} tone="bad">
        <button type="button" className="button primary" onClick={retry}>
          Try again
        </button>
      </Notice>
    </main>
  );
}

function isRefused(error: Error): boolean {
  return error instanceof ProblemError && (error.status === 401 || error.status === 404);
}
