/** Who uses this page, for everything that depends on it. */
import type { Me } from "../api/account";
import { Store } from "../store";

export type Who =
  | { state: "asking" }
  | { state: "failed"; error: Error }
  /** `last` is whose session ended here; their page waits below the sign-in, with edits not yet saved. */
  | { state: "nobody"; last: Me | null }
  | { state: "somebody"; me: Me };

export const who = new Store<Who>({ state: "asking" });

/** The session ran out, or was ended from elsewhere. */
export function sessionEnded(): void {
  const now = who.get();
  if (now.state === "nobody") return;
  who.set({ state: "nobody", last: now.state === "somebody" ? now.me : null });
}
