/** Where in the page someone is. Hash routes need no rewriting on the server, which never sees them either. */
export type Route =
  | { page: "home" }
  | { page: "account" }
  | { page: "users" }
  | { page: "graph"; graphId: string }
  | { page: "group"; groupId: string }
  | { page: "invitation"; token: string }
  | { page: "share"; token: string }
  | { page: "unknown" };

const PATH = /^\/([a-z]+)(?:\/([^/]+))?$/;

const ALONE = new Map<string, Route>([
  ["account", { page: "account" }],
  ["users", { page: "users" }],
]);

const WITH = new Map<string, (named: string) => Route>([
  ["graphs", (graphId) => ({ page: "graph", graphId })],
  ["groups", (groupId) => ({ page: "group", groupId })],
  ["invitation", (token) => ({ page: "invitation", token })],
  ["share", (token) => ({ page: "share", token })],
]);

/** Read a location hash such as `#/graphs/0198…`; an empty one is home. */
export function parseRoute(hash: string): Route {
  const path = hash.replace(/^#/, "");
  if (path === "" || path === "/") return { page: "home" };
  const [, page = "", named] = PATH.exec(path) ?? [];
  const route = named === undefined ? ALONE.get(page) : WITH.get(page)?.(decoded(named));
  return route ?? { page: "unknown" };
}

export const HOME_HREF = "#/";
export const ACCOUNT_HREF = "#/account";
export const USERS_HREF = "#/users";

export function graphHref(graphId: string): string {
  return `#/graphs/${encodeURIComponent(graphId)}`;
}

export function groupHref(groupId: string): string {
  return `#/groups/${encodeURIComponent(groupId)}`;
}

/** A link to give away; what is behind # is sent to no server and stands in no log. */
export function linkTo(origin: string, page: "invitation" | "share", token: string): string {
  return `${origin}/#/${page}/${encodeURIComponent(token)}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray % is part of an id that no graph has; the server says so
  }
}
