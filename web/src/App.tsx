import { useSyncExternalStore } from "react";
import type { Access } from "./live/access";
import { AccountPage } from "./pages/AccountPage";
import { Gate } from "./pages/Gate";
import { GraphPage } from "./pages/GraphPage";
import { GroupPage } from "./pages/GroupPage";
import { HomePage } from "./pages/HomePage";
import { InvitationPage } from "./pages/InvitationPage";
import { SharePage } from "./pages/SharePage";
import { UsersPage } from "./pages/UsersPage";
import { Notice } from "./parts/Notice";
import { HOME_HREF, parseRoute, type Route } from "./routes";
import { shareFor } from "./session/share";
import { useMe } from "./session/useWho";

/** Links let in by themselves; everything else asks who one is. */
export function App() {
  const route = parseRoute(useSyncExternalStore(followHash, () => location.hash));
  if (route.page === "invitation") return <InvitationPage key={route.token} token={route.token} />;
  if (route.page === "share") return <SharePage key={route.token} token={route.token} />;
  const token = route.page === "graph" ? shareFor(sessionStorage, route.graphId) : null;
  if (route.page === "graph" && token !== null) {
    const access: Access = { by: "share", token };
    return <GraphPage key={route.graphId} graphId={route.graphId} access={access} name="Guest" />;
  }
  return (
    <Gate>
      <Inside route={route} />
    </Gate>
  );
}

function Inside({ route }: { route: Route }) {
  const isOpen = useMe().credential === "open";
  if (route.page === "home") return <HomePage />;
  if (route.page === "graph") return <OwnGraph key={route.graphId} graphId={route.graphId} />;
  return isOpen ? <Nowhere /> : <OfAccounts route={route} />;
}

/** What a server without accounts does not have. */
function OfAccounts({ route }: { route: Route }) {
  const { is_admin } = useMe();
  if (route.page === "account") return <AccountPage />;
  if (route.page === "group") return <GroupPage key={route.groupId} groupId={route.groupId} />;
  return route.page === "users" && is_admin ? <UsersPage /> : <Nowhere />;
}

function OwnGraph({ graphId }: { graphId: string }) {
  const { credential, name } = useMe();
  const isOpen = credential === "open";
  return (
    <GraphPage
      graphId={graphId}
      access={{ by: isOpen ? "open" : "session" }}
      name={isOpen ? null : name}
    />
  );
}

function Nowhere() {
  return (
    <main className="middle">
      <Notice title="There is nothing at this address" advice="Go to the list of all graphs.">
        <a className="button primary" href={HOME_HREF}>
          All graphs
        </a>
      </Notice>
    </main>
  );
}

function followHash(changed: () => void): () => void {
  window.addEventListener("hashchange", changed);
  return () => window.removeEventListener("hashchange", changed);
}
