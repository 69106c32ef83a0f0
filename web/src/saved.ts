/**
 * Whether this tab's edits are saved, and never a "Saved" that is not true.
 *
 * A pure state machine. Message 102 asks the server: it echoes the bytes once everything this
 * connection sent before them is committed. An echo counts only on the connection it was asked
 * on, and it is asked only after this tab answered the server's Step1, because before that the
 * server may lack edits made offline.
 */

/** What an echo vouches for: the first `edits` edits, on connection number `connection`. */
export interface Receipt {
  connection: number;
  edits: number;
}

export type Stop = "gone" | "unauthenticated" | "forbidden" | "too-large" | "refused";

type Link =
  | { at: "connecting" }
  | { at: "resyncing"; answered: boolean; synced: boolean }
  | { at: "live"; confirmed: boolean }
  | { at: "offline"; restarting: boolean }
  | { at: "stopped"; why: Stop };

export interface SaveState {
  link: Link;
  connection: number;
  /** Edits made in this tab, ever, and how many of them are committed. */
  made: number;
  committed: number;
  readOnly: boolean;
}

export type SaveEvent =
  | { type: "edited" }
  | { type: "opened" }
  /** This tab has sent what the server lacked. */
  | { type: "answered" }
  /** This tab has what the server holds. */
  | { type: "synced" }
  | { type: "echoed"; receipt: Receipt }
  | { type: "denied" }
  | { type: "closed"; code: number | null }
  | { type: "missing" };

export const INITIAL: SaveState = {
  link: { at: "connecting" },
  connection: 0,
  made: 0,
  committed: 0,
  readOnly: false,
};

const STOPS: Record<number, Stop> = {
  4401: "unauthenticated",
  4403: "forbidden",
  4404: "gone",
  4413: "too-large",
};

export function unsaved(state: SaveState): number {
  return state.made - state.committed;
}

/** What to send in a message 102 after an event that left the tab in `state`, if anything. */
export function receiptToAsk(state: SaveState): Receipt | null {
  return state.link.at === "live" ? { connection: state.connection, edits: state.made } : null;
}

export function next(state: SaveState, event: SaveEvent): SaveState {
  if (event.type === "edited") return { ...state, made: state.made + 1 };
  if (state.link.at === "stopped") return state;
  switch (event.type) {
    case "opened":
      return opened(state);
    case "answered":
    case "synced":
      return resynced(state, event.type);
    case "echoed":
      return echoed(state, event.receipt);
    case "denied":
      return { ...state, readOnly: true };
    case "closed":
      return { ...state, link: closed(event.code) };
    case "missing":
      return { ...state, link: { at: "stopped", why: "gone" } };
  }
}

function opened(state: SaveState): SaveState {
  const link: Link = { at: "resyncing", answered: false, synced: false };
  return { ...state, link, connection: state.connection + 1, readOnly: false };
}

function resynced(state: SaveState, half: "answered" | "synced"): SaveState {
  if (state.link.at !== "resyncing") return state;
  const link = { ...state.link, [half]: true };
  const whole = link.answered && link.synced;
  return { ...state, link: whole ? { at: "live", confirmed: false } : link };
}

function echoed(state: SaveState, receipt: Receipt): SaveState {
  if (state.link.at !== "live" || receipt.connection !== state.connection) return state;
  const committed = Math.min(state.made, Math.max(state.committed, receipt.edits));
  return { ...state, committed, link: { at: "live", confirmed: true } };
}

/** 44xx is final (y-websocket 3 stays away after it), all else is worth another try. */
function closed(code: number | null): Link {
  if (code !== null && code >= 4400 && code < 4500) {
    return { at: "stopped", why: STOPS[code] ?? "refused" };
  }
  return { at: "offline", restarting: code === 1012 || code === 1013 };
}
