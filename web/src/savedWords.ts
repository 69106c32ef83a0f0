import { type SaveState, type Stop, unsaved } from "./saved";

export interface Words {
  tone: "good" | "busy" | "warning" | "bad";
  label: string;
  hint: string;
}

export interface StopWords {
  label: string;
  title: string;
  advice: string;
}

export const STOP_WORDS: Record<Stop, StopWords> = {
  gone: {
    label: "Gone",
    title: "This graph is gone",
    advice: "It was deleted, or it is no longer shared with you. Pick another one from the list.",
  },
  unauthenticated: {
    label: "Signed out",
    title: "You are signed out",
    advice: "Sign in again, then reload this page.",
  },
  forbidden: {
    label: "No access",
    title: "You may no longer open this graph",
    advice: "Ask someone who manages its project for access, then reload this page.",
  },
  "too-large": {
    label: "Edit too large",
    title: "The last edit was too large",
    advice: "The server did not take it. Reload this page and make the change in smaller steps.",
  },
  refused: {
    label: "Refused",
    title: "The server refused an edit",
    advice: "Reload this page to go on from what is saved.",
  },
};

/** Say in a few words where this tab's edits are. */
export function savedWords(state: SaveState): Words {
  const { link } = state;
  if (link.at === "stopped") {
    return { tone: "bad", label: STOP_WORDS[link.why].label, hint: STOP_WORDS[link.why].advice };
  }
  if (link.at === "offline") return offlineWords(link.restarting, unsaved(state));
  if (state.readOnly) return readOnlyWords(unsaved(state));
  if (link.at === "live" && link.confirmed && unsaved(state) === 0) {
    return { tone: "good", label: "Saved", hint: "Every edit of yours is stored on the server." };
  }
  return onTheWayWords(unsaved(state));
}

export function edits(count: number): string {
  return count === 1 ? "1 edit" : `${count} edits`;
}

function readOnlyWords(count: number): Words {
  const label = count === 0 ? "View only" : `View only, ${edits(count)} not saved`;
  return { tone: "warning", label, hint: "You can watch this graph but not change it." };
}

function offlineWords(restarting: boolean, count: number): Words {
  const what = restarting ? "Reconnecting" : "Offline";
  const label = count === 0 ? what : `${what}, ${edits(count)} kept in this tab`;
  const why = restarting ? "The server is restarting." : "The server cannot be reached.";
  return { tone: "warning", label, hint: `${why} Keep this tab open; it tries again by itself.` };
}

function onTheWayWords(count: number): Words {
  if (count === 0) {
    return { tone: "busy", label: "Connecting", hint: "Getting the graph from the server." };
  }
  return {
    tone: "busy",
    label: `Saving (${count})`,
    hint: `${edits(count)} on the way to the server; keep this tab open until they are saved.`,
  };
}
