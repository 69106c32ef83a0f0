/** Who may open one graph, and links that let others in. */
import type { Role } from "./catalogue";
import { request } from "./request";

/** `none` hides the graph from somebody whose group would show it. */
export type GraphRole = Role | "none";

export interface Access {
  user_id: string;
  username: string;
  name: string;
  role: GraphRole;
  /** Whether the role comes from the group or was given in this graph. */
  source: "group" | "graph";
}

export interface ShareLink {
  id: string;
  role: Role;
  created_at: string;
  expires_at: string | null;
}

export async function listAccess(graphId: string, signal: AbortSignal): Promise<Access[]> {
  const path = `${pathOf(graphId)}/access`;
  return (await request<{ items: Access[] }>(path, { signal })).items;
}

export function setAccess(graphId: string, userId: string, role: GraphRole): Promise<void> {
  return request(accessOf(graphId, userId), { method: "PUT", body: { role } });
}

/** What the group gives counts again. */
export function resetAccess(graphId: string, userId: string): Promise<void> {
  return request(accessOf(graphId, userId), { method: "DELETE" });
}

export async function listShareLinks(graphId: string, signal: AbortSignal): Promise<ShareLink[]> {
  const path = `${pathOf(graphId)}/share-links`;
  return (await request<{ items: ShareLink[] }>(path, { signal })).items;
}

/** The token of the link is in this answer and never again; `expires_in_days` null is for ever. */
export function createShareLink(graphId: string, role: Role, expires_in_days: number | null) {
  const body = { role, expires_in_days };
  const path = `${pathOf(graphId)}/share-links`;
  return request<ShareLink & { token: string }>(path, { method: "POST", body });
}

export function revokeShareLink(id: string): Promise<void> {
  return request(`/api/share-links/${encodeURIComponent(id)}`, { method: "DELETE" });
}

function pathOf(graphId: string): string {
  return `/api/graphs/${encodeURIComponent(graphId)}`;
}

function accessOf(graphId: string, userId: string): string {
  return `${pathOf(graphId)}/access/${encodeURIComponent(userId)}`;
}
