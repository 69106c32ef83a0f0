/** What one may do in an open graph, which others can change while it is open. */
import { type GraphHead, mayEdit, type Role } from "../api/catalogue";
import { ProblemError } from "../api/send";
import { Store } from "../store";

/** What happened to the rights since the graph was opened, null while nothing did. */
export type RightsNews = "raised" | "reduced" | null;

const LOOK_INTERVAL_MS = 5_000;

interface Surroundings {
  /** Ask the server for the graph; its refusal is a ProblemError. */
  look: () => Promise<GraphHead>;
  /** The graph cannot be read any more, and this is how the server says so. */
  lost: (refusal: ProblemError) => void;
  /** Edits are taken again, also those that were refused. */
  raised: () => void;
}

export class Rights {
  readonly role: Store<Role>;
  readonly news = new Store<RightsNews>(null);
  readonly #around: Surroundings;
  readonly #timer: ReturnType<typeof setInterval>;
  #lookedAt_ms = 0;

  constructor(role: Role, around: Surroundings) {
    this.role = new Store(role);
    this.#around = around;
    // Nobody is told over the socket that more is allowed now; who may do less finds out by a refusal.
    this.#timer = setInterval(() => this.#lookIfWatching(), LOOK_INTERVAL_MS);
  }

  /** An edit was refused: whatever was known, this is not to be edited now. */
  refused(): void {
    this.#change("viewer");
  }

  /** Ask what is true now, unless that was asked a moment ago. */
  async look(): Promise<void> {
    if (Date.now() - this.#lookedAt_ms < LOOK_INTERVAL_MS) return;
    this.#lookedAt_ms = Date.now();
    try {
      this.#change((await this.#around.look()).role);
    } catch (error) {
      if (error instanceof ProblemError) this.#around.lost(error);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #lookIfWatching(): void {
    if (!mayEdit(this.role.get()) && document.visibilityState === "visible") void this.look();
  }

  #change(role: Role): void {
    const before = this.role.get();
    this.role.set(role);
    if (mayEdit(before) === mayEdit(role)) return;
    this.news.set(mayEdit(role) ? "raised" : "reduced");
    if (mayEdit(role)) this.#around.raised();
  }
}
