/** Groups, who is in them, and who is invited. */
import type { Role } from "./catalogue";
import { request } from "./request";

export interface Group {
  id: string;
  name: string;
  description: string | null;
  /** Null for an installation admin who is no member. */
  role: Role | null;
  created_at: string;
}

export interface Member {
  user_id: string;
  username: string;
  name: string;
  role: Role;
  joined_at: string;
  is_active: boolean;
}

export interface Invitation {
  id: string;
  role: Role;
  created_at: string;
  expires_at: string;
}

export async function listGroups(signal: AbortSignal): Promise<Group[]> {
  return (await request<{ items: Group[] }>("/api/groups", { signal })).items;
}

export function createGroup(name: string): Promise<Group> {
  return request("/api/groups", { method: "POST", body: { name } });
}

export function renameGroup(groupId: string, name: string): Promise<Group> {
  return request(pathOf(groupId), { method: "PATCH", body: { name } });
}

export async function listMembers(groupId: string, signal: AbortSignal): Promise<Member[]> {
  const path = `${pathOf(groupId)}/members`;
  return (await request<{ items: Member[] }>(path, { signal })).items;
}

export function setMemberRole(groupId: string, userId: string, role: Role): Promise<void> {
  return request(memberOf(groupId, userId), { method: "PUT", body: { role } });
}

export function removeMember(groupId: string, userId: string): Promise<void> {
  return request(memberOf(groupId, userId), { method: "DELETE" });
}

export async function listInvitations(groupId: string, signal: AbortSignal): Promise<Invitation[]> {
  const path = `${pathOf(groupId)}/invitations`;
  return (await request<{ items: Invitation[] }>(path, { signal })).items;
}

/** The token of the link is in this answer and never again. */
export function invite(groupId: string, role: Role, expires_in_days: number) {
  const body = { role, expires_in_days };
  const path = `${pathOf(groupId)}/invitations`;
  return request<Invitation & { token: string }>(path, { method: "POST", body });
}

export function revokeInvitation(id: string): Promise<void> {
  return request(`/api/invitations/${encodeURIComponent(id)}`, { method: "DELETE" });
}

function pathOf(groupId: string): string {
  return `/api/groups/${encodeURIComponent(groupId)}`;
}

function memberOf(groupId: string, userId: string): string {
  return `${pathOf(groupId)}/members/${encodeURIComponent(userId)}`;
}
