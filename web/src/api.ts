/** The HTTP interface of the server, as far as this page uses it. */

const REQUEST_TIMEOUT_MS = 15_000;

export interface Project {
  id: string;
  name: string;
  description: string | null;
  created_at: string;
  updated_at: string;
}

export interface Graph {
  id: string;
  project_id: string;
  name: string;
  description: string | null;
  graph_type: string;
  created_at: string;
  updated_at: string;
}

/** What of `GET /api/graphs/{id}` is used here; the rest comes live. */
export interface GraphHead {
  id: string;
  name: string;
}

/** The server answered with problem details (RFC 9457). */
export class ProblemError extends Error {
  override readonly name = "ProblemError";

  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
  ) {
    super(detail || title);
  }
}

/** No answer: the server is down, the network is, or it took longer than the time allowed. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";

  constructor(cause: unknown) {
    super("The server does not answer. Check that it is running, then try again.", { cause });
  }
}

export function listProjects(signal: AbortSignal): Promise<Project[]> {
  return request<{ items: Project[] }>("/api/projects", { signal }).then((page) => page.items);
}

export function listGraphs(projectId: string, signal: AbortSignal): Promise<Graph[]> {
  return request<{ items: Graph[] }>(graphsOf(projectId), { signal }).then((page) => page.items);
}

export function createProject(name: string): Promise<Project> {
  return request("/api/projects", post({ name }));
}

export function createGraph(projectId: string, name: string): Promise<Graph> {
  return request(graphsOf(projectId), post({ name }));
}

export function getGraph(graphId: string, signal: AbortSignal): Promise<GraphHead> {
  return request(`/api/graphs/${encodeURIComponent(graphId)}`, { signal });
}

function graphsOf(projectId: string): string {
  return `/api/projects/${encodeURIComponent(projectId)}/graphs`;
}

function post(body: unknown): RequestInit {
  return {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
}

async function request<T>(path: string, init: RequestInit): Promise<T> {
  const response = await answer(path, init);
  if (!response.ok) throw await problem(response);
  return response.json() as Promise<T>;
}

async function answer(path: string, init: RequestInit): Promise<Response> {
  const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
  try {
    return await fetch(path, { ...init, signal });
  } catch (cause) {
    throw new UnreachableError(cause);
  }
}

async function problem(response: Response): Promise<ProblemError> {
  const body = await response.json().catch(() => ({})); // a proxy's error page is not JSON
  const text = (key: string, otherwise: string) =>
    typeof body?.[key] === "string" ? (body[key] as string) : otherwise;
  const title = text("title", `The server answered ${response.status}`);
  return new ProblemError(response.status, text("code", "unknown"), title, text("detail", ""));
}
