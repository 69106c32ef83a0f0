import { useCallback } from "react";
import { getGraph } from "../api/catalogue";
import { ProblemError } from "../api/send";
import { type Access, tokenOf } from "../live/access";
import { useLoad } from "../loading";
import { Notice } from "../parts/Notice";
import { STOP_WORDS, type StopWords } from "../savedWords";
import { sentenceOf } from "../words";
import { ShareEnded } from "./SharePage";
import { Workspace } from "./Workspace";

const BY_STATUS: Record<number, StopWords> = {
  401: STOP_WORDS.unauthenticated,
  403: STOP_WORDS.forbidden,
  404: STOP_WORDS.gone,
  422: STOP_WORDS.gone,
};

interface GraphPageProps {
  graphId: string;
  access: Access;
  /** What one is called here; null for who chooses a name. */
  name: string | null;
}

/** Ask over HTTP first: a websocket that is refused cannot tell a missing graph from no network. */
export function GraphPage({ graphId, access, name }: GraphPageProps) {
  const token = tokenOf(access);
  const load = useCallback(
    (signal: AbortSignal) => getGraph(graphId, signal, token),
    [graphId, token],
  );
  const [graph, reload] = useLoad(load);
  if (graph.state === "loading") return <p className="loading">Opening the graph…</p>;
  if (graph.state === "ready") {
    return <Workspace graph={graph.value} access={access} ownName={name} />;
  }
  if (access.by === "share" && isRefusal(graph.error)) return <ShareEnded />;
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

function isRefusal(error: Error): boolean {
  return error instanceof ProblemError && error.status === 401;
}

function wordsFor(error: Error): { title: string; advice: string } {
  const known = error instanceof ProblemError ? BY_STATUS[error.status] : undefined;
  return known ?? { title: "The graph did not open", advice: sentenceOf(error) };
}
