/** What one may do in an open graph, which others can change while it is open. */
import { mayEdit, type Role } from "../api/catalogue";
import { ProblemError } from "../api/send";
import { Store } from "../store";

/** What happened to the rights since the graph was opened, null while nothing did. */
export type RightsNews = "raised" | "reduced" | null;

const LOOK_INTERVAL_MS = 5_000;

interface Surroundings {
  /** Ask the server for the role now; null or a refusal says that the graph is not to be read any more. */
  look: () => Promise<Role | null>;
  /** It is lost, and the HTTP status says how. */
  lost: (status: number) => void;
  /** Edits are taken again, also those that were refused. */
  raised: () => void;
  now: () => number;
}

export class Rights {
  readonly role: Store<Role>;
  readonly news = new Store<RightsNews>(null);
  readonly #around: Surroundings;
  #lookedAt_ms = Number.NEGATIVE_INFINITY;

  constructor(role: Role, around: Surroundings) {
    this.role = new Store(role);
    this.#around = around;
  }

  /** An edit was refused: whatever was known, this is not to be edited now. */
  refused(): void {
    this.#change("viewer");
  }

  /** Ask what is true now, unless that was asked a moment ago. */
  async look(): Promise<void> {
    if (this.#around.now() - this.#lookedAt_ms >= LOOK_INTERVAL_MS) await this.ask();
  }

  /** Ask what is true now. Not getting an answer says nothing. */
  async ask(): Promise<void> {
    this.#lookedAt_ms = this.#around.now();
    try {
      const role = await this.#around.look();
      if (role === null) this.#around.lost(404);
      else this.#change(role);
    } catch (error) {
      if (error instanceof ProblemError) this.#around.lost(error.status);
    }
  }

  #change(role: Role): void {
    const before = this.role.get();
    this.role.set(role);
    if (mayEdit(before) === mayEdit(role)) return;
    this.news.set(mayEdit(role) ? "raised" : "reduced");
    if (mayEdit(role)) this.#around.raised();
  }
}

/**
 * Look again while one may only view: nobody is told over the socket that more is allowed now. Who may edit
 * finds out by a refusal that it is over, and whenever the page is looked at again. Returns what ends it.
 */
export function keepLooking(rights: Rights): () => void {
  const isSeen = () => document.visibilityState === "visible";
  const timer = setInterval(() => {
    if (isSeen() && !mayEdit(rights.role.get())) void rights.look();
  }, LOOK_INTERVAL_MS);
  const turnedTo = () => isSeen() && void rights.look();
  document.addEventListener("visibilitychange", turnedTo);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", turnedTo);
  };
}
