/** Projects and graphs, as far as this page uses them. */
import { request } from "./request";
import { ProblemError } from "./send";

/** What somebody is in a group, a project or a graph, from most to least. */
export type Role = "admin" | "member" | "viewer";

export interface Project {
  id: string;
  group_id: string;
  name: string;
  description: string | null;
  role: Role;
  created_at: string;
  updated_at: string;
}

export interface Graph {
  id: string;
  project_id: string;
  name: string;
  description: string | null;
  graph_type: string;
  role: Role;
  created_at: string;
  updated_at: string;
}

/** What of `GET /api/graphs/{id}` is used here; the rest comes live. */
export interface GraphHead {
  id: string;
  project_id: string;
  name: string;
  role: Role;
}

interface Page<T> {
  items: T[];
}

export function mayEdit(role: Role): boolean {
  return role !== "viewer";
}

export async function listProjects(signal: AbortSignal): Promise<Project[]> {
  return (await request<Page<Project>>("/api/projects", { signal })).items;
}

export async function listGraphs(projectId: string, signal: AbortSignal): Promise<Graph[]> {
  return (await request<Page<Graph>>(graphsOf(projectId), { signal })).items;
}

/** Graphs of other groups that were shared with who is signed in. */
export async function listSharedGraphs(signal: AbortSignal): Promise<Graph[]> {
  return (await request<Page<Graph>>("/api/graphs", { signal })).items;
}

/** `groupId` null lets the server choose, as an open one does. */
export function createProject(name: string, groupId: string | null): Promise<Project> {
  const body = groupId === null ? { name } : { name, group_id: groupId };
  return request("/api/projects", { method: "POST", body });
}

export function createGraph(projectId: string, name: string): Promise<Graph> {
  return request(graphsOf(projectId), { method: "POST", body: { name } });
}

/** With `token`, as the guest of a share link. */
export function getGraph(graphId: string, signal: AbortSignal, token?: string): Promise<GraphHead> {
  const path = `/api/graphs/${encodeURIComponent(graphId)}`;
  return request(path, { signal, ...(token !== undefined && { token }) });
}

/**
 * What who is signed in is in a graph now, null if nothing. The lists are asked since they leave the content
 * out, however large the graph is.
 */
export async function getRole(graph: GraphHead, signal: AbortSignal): Promise<Role | null> {
  const [ofProject, shared] = await Promise.all([
    listGraphs(graph.project_id, signal).catch(noneIfUnknown),
    listSharedGraphs(signal),
  ]);
  return [...ofProject, ...shared].find(({ id }) => id === graph.id)?.role ?? null;
}

function noneIfUnknown(error: unknown): Graph[] {
  if (error instanceof ProblemError && error.status === 404) return [];
  throw error;
}

function graphsOf(projectId: string): string {
  return `/api/projects/${encodeURIComponent(projectId)}/graphs`;
}
