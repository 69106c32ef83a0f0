/** Signing in, and everything of one's own account. */
import type { Role } from "./catalogue";
import { request } from "./request";
import { send } from "./send";

/** Who the server takes us for. */
export interface Me {
  id: string;
  username: string;
  name: string;
  is_admin: boolean;
  credential: "open" | "session" | "token" | "share" | "backend";
  expires_at: string | null;
  /** The one graph that a share link is for. */
  graph: { id: string; role: Role } | null;
}

/** The tokens themselves are in cookies that no script reads. */
export interface Granted {
  /** For how many seconds; absent where who was signed in stays so. */
  expires_in?: number;
}

export interface Session {
  id: string;
  device: string | null;
  address: string | null;
  user_agent: string | null;
  created_at: string;
  last_used_at: string;
  expires_at: string;
  is_current: boolean;
}

export type Scope = "read" | "edit" | "manage";

export interface AccessToken {
  id: string;
  name: string;
  scopes: Scope[];
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
}

export interface NewAccessToken {
  name: string;
  scopes: Scope[];
  /** Null for one that does not expire. */
  expires_in_days: number | null;
}

export function login(username: string, password: string): Promise<Granted> {
  return send("/api/auth/login", { method: "POST", body: { username, password, browser: true } });
}

export function logout(): Promise<void> {
  return send("/api/auth/logout", { method: "POST" });
}

export function getMe(signal?: AbortSignal): Promise<Me> {
  return request("/api/auth/me", signal ? { signal } : {});
}

/** Who the guest of a share link is, and in which graph. */
export function getGuest(token: string, signal: AbortSignal): Promise<Me> {
  return request("/api/auth/me", { signal, token });
}

export function rename(name: string): Promise<Me> {
  return request("/api/auth/me", { method: "PATCH", body: { name } });
}

/** All other sessions end. */
export function changePassword(old_password: string, new_password: string): Promise<void> {
  return request("/api/auth/password", { method: "PUT", body: { old_password, new_password } });
}

export async function listSessions(signal: AbortSignal): Promise<Session[]> {
  return (await request<{ items: Session[] }>("/api/auth/sessions", { signal })).items;
}

export function endSession(id: string): Promise<void> {
  return request(`/api/auth/sessions/${encodeURIComponent(id)}`, { method: "DELETE" });
}

export function endOtherSessions(): Promise<void> {
  return request("/api/auth/sessions", { method: "DELETE" });
}

export async function listTokens(signal: AbortSignal): Promise<AccessToken[]> {
  return (await request<{ items: AccessToken[] }>("/api/auth/tokens", { signal })).items;
}

/** The token itself is in this answer and never again. */
export function createToken({ expires_in_days, ...token }: NewAccessToken) {
  const body = expires_in_days === null ? token : { ...token, expires_in_days };
  return request<AccessToken & { token: string }>("/api/auth/tokens", { method: "POST", body });
}

export function revokeToken(id: string): Promise<void> {
  return request(`/api/auth/tokens/${encodeURIComponent(id)}`, { method: "DELETE" });
}
