import { useEffect, useState } from "react";
import type { Identity } from "../identity";
import { unsaved } from "../saved";
import { LiveGraph, syncUrlOf } from "./LiveGraph";

/** Join a graph while the component is shown; null until then. `graphId` must not change. */
export function useLiveGraph(graphId: string, identity: Identity): LiveGraph | null {
  const [live, setLive] = useState<LiveGraph | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new name does not reconnect
  useEffect(() => {
    const joined = new LiveGraph(graphId, syncUrlOf(location), identity);
    setLive(joined);
    const stopAsking = askBeforeLosing(joined);
    return () => {
      stopAsking();
      joined.close();
    };
  }, [graphId]);
  useEffect(() => live?.setIdentity(identity), [live, identity]);
  return live;
}

/** Unsaved edits live in this tab only, so the browser asks before it closes it. */
function askBeforeLosing(live: LiveGraph): () => void {
  const ask = (event: BeforeUnloadEvent) => {
    if (unsaved(live.saved.get()) > 0) event.preventDefault();
  };
  window.addEventListener("beforeunload", ask);
  return () => window.removeEventListener("beforeunload", ask);
}
