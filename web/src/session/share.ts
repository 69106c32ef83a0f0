/** The share link that this tab came by. It is kept for the tab only, and no address shows it. */
export interface Share {
  graphId: string;
  token: string;
}

const KEY = "layercake.share";
type Kept = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export function keepShare(storage: Kept, share: Share): void {
  storage.setItem(KEY, JSON.stringify(share));
}

/** The token for this graph, if that is what was shared. */
export function shareFor(storage: Kept, graphId: string): string | null {
  const kept = storage.getItem(KEY);
  const share: Share | null = kept === null ? null : JSON.parse(kept);
  return share?.graphId === graphId ? share.token : null;
}

export function forgetShare(storage: Kept): void {
  storage.removeItem(KEY);
}
