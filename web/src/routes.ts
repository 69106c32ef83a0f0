/** Where in the page someone is. Hash routes need no rewriting on the server. */
export type Route = { page: "home" } | { page: "graph"; graphId: string } | { page: "unknown" };

const GRAPH = /^\/graphs\/([^/]+)$/;

/** Read a location hash such as `#/graphs/0198…`; an empty one is home. */
export function parseRoute(hash: string): Route {
  const path = hash.replace(/^#/, "");
  if (path === "" || path === "/") return { page: "home" };
  const graphId = GRAPH.exec(path)?.[1];
  return graphId === undefined ? { page: "unknown" } : { page: "graph", graphId: decoded(graphId) };
}

export function graphHref(graphId: string): string {
  return `#/graphs/${encodeURIComponent(graphId)}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray % is part of an id that no graph has; the server says so
  }
}
