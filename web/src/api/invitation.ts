/** The two steps of following an invitation's link. */
import type { Granted } from "./account";
import type { Role } from "./catalogue";
import { send } from "./send";

export interface InvitationSeen {
  /** To join a group, or to choose the password of an account. */
  kind: "group" | "password";
  group_name?: string | null;
  role?: Role | null;
  username?: string | null;
  expires_at: string;
}

export interface NewAccount {
  username?: string;
  name?: string;
  password: string;
}

export function lookAtInvitation(token: string, signal: AbortSignal): Promise<InvitationSeen> {
  return send("/api/invitations/look", { method: "POST", body: { token }, signal });
}

/** Without `account` whoever is signed in joins. */
export function acceptInvitation(token: string, account: NewAccount | null): Promise<Granted> {
  const body = { token, ...account, browser: true };
  return send("/api/invitations/accept", { method: "POST", body });
}
