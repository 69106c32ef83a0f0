import { useCallback } from "react";
import { getGraph, ProblemError } from "../api";
import { useLoad } from "../loading";
import { Notice } from "../parts/Notice";
import { STOP_WORDS, type StopWords } from "../savedWords";
import { Workspace } from "./Workspace";

const BY_STATUS: Record<number, StopWords> = {
  401: STOP_WORDS.unauthenticated,
  403: STOP_WORDS.forbidden,
  404: STOP_WORDS.gone,
  422: STOP_WORDS.gone,
};

/** Ask over HTTP first: a websocket that is refused cannot tell a missing graph from no network. */
export function GraphPage({ graphId }: { graphId: string }) {
  const load = useCallback((signal: AbortSignal) => getGraph(graphId, signal), [graphId]);
  const [graph, reload] = useLoad(load);
  if (graph.state === "loading") return <p className="loading">Opening the graph…</p>;
  if (graph.state === "ready") return <Workspace graphId={graphId} name={graph.value.name} />;
  const words = wordsFor(graph.error);
  return (
    <main className="middle">
      <Notice title={words.title} advice={words.advice} tone="bad">
        <button type="button" className="button primary" onClick={reload}>
          Try again
        </button>
        <a className="button" href="#/">
          All graphs
        </a>
      </Notice>
    </main>
  );
}

function wordsFor(error: Error): { title: string; advice: string } {
  const known = error instanceof ProblemError ? BY_STATUS[error.status] : undefined;
  return known ?? { title: "The graph did not open", advice: error.message };
}
