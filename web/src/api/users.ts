/** All accounts of the installation, for who looks after it. */
import { request } from "./request";

export interface User {
  id: string;
  username: string;
  name: string;
  role: "user" | "admin";
  is_active: boolean;
}

export async function listUsers(signal: AbortSignal): Promise<User[]> {
  return (await request<{ items: User[] }>("/api/users", { signal })).items;
}

export function changeUser(
  id: string,
  change: Partial<Pick<User, "role" | "is_active">>,
): Promise<User> {
  return request(pathOf(id), { method: "PATCH", body: change });
}

/** A link by which the person chooses a new password; its token is in this answer and never again. */
export function makePasswordLink(id: string): Promise<{ token: string; expires_at: string }> {
  return request(`${pathOf(id)}/password-link`, { method: "POST" });
}

function pathOf(id: string): string {
  return `/api/users/${encodeURIComponent(id)}`;
}
