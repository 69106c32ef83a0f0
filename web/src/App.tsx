import { useSyncExternalStore } from "react";
import { GraphPage } from "./pages/GraphPage";
import { HomePage } from "./pages/HomePage";
import { Notice } from "./parts/Notice";
import { parseRoute } from "./routes";

export function App() {
  const route = parseRoute(useSyncExternalStore(followHash, () => location.hash));
  if (route.page === "home") return <HomePage />;
  if (route.page === "graph") return <GraphPage key={route.graphId} graphId={route.graphId} />;
  return (
    <main className="middle">
      <Notice title="There is nothing at this address" advice="Go to the list of all graphs.">
        <a className="button primary" href="#/">
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
