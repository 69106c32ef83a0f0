/** Finding out who is signed in, signing in and signing out. */
import { type Granted, getMe, login, logout, type Me } from "../api/account";
import { ProblemError } from "../api/send";
import { followOtherTabs, renewal } from "./renewal";
import { who } from "./who";

let asked = false;

/** Ask the server once who this browser is signed in as, and follow what other tabs do. */
export function askOnce(): void {
  if (asked) return;
  asked = true;
  followOtherTabs(() => void ask()); // it may be somebody else now
  void ask();
}

/** Ask again; whoever is known meanwhile stays so until the answer. */
export async function ask(): Promise<void> {
  try {
    known(await getMe());
  } catch (error) {
    failed(error as Error);
  }
}

/** Raises ProblemError: 401 wrong name or password, 429 too many attempts. */
export async function signIn(username: string, password: string): Promise<void> {
  await enter(await login(username, password));
}

/** Go on as who was just granted the cookies. */
export async function enter(granted: Granted): Promise<void> {
  renewal.granted(granted);
  known(await getMe());
}

export async function signOut(): Promise<void> {
  await logout();
  renewal.stop();
  who.set({ state: "nobody", last: null });
}

function known(me: Me): void {
  who.set({ state: "somebody", me });
  if (me.credential === "session" && me.expires_at !== null) {
    renewal.lasts(Date.parse(me.expires_at) - Date.now());
  }
}

function failed(error: Error): void {
  const refused = error instanceof ProblemError && error.status === 401;
  if (refused) renewal.stop();
  else if (who.get().state !== "somebody") who.set({ state: "failed", error });
}
