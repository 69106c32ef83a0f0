import { useEffect, useState } from "react";
import type { Identity } from "../identity";
import { unsaved } from "../saved";
import { who } from "../session/who";
import { useStore } from "../store";
import { LiveGraph, type Opening, syncUrlOf } from "./LiveGraph";

/** Join a graph while the component is shown; null until then. `opening` must not change. */
export function useLiveGraph(opening: Opening, identity: Identity): LiveGraph | null {
  const [live, setLive] = useState<LiveGraph | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new name does not reconnect
  useEffect(() => {
    const joined = new LiveGraph(opening, syncUrlOf(location), identity);
    setLive(joined);
    const stopAsking = askBeforeLosing(joined);
    return () => {
      stopAsking();
      joined.close();
    };
  }, [opening.graph.id]);
  useEffect(() => live?.setIdentity(identity), [live, identity]);
  const nobody = useStore(who).state === "nobody" && opening.access.by === "session";
  useEffect(() => live?.setOnline(!nobody), [live, nobody]);
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
