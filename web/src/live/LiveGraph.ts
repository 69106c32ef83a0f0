/** One open graph: its document, its connection, who is there, and whether edits are saved. */
import * as decoding from "lib0/decoding";
import { messageYjsSyncStep1 } from "y-protocols/sync";
import { messageAuth, messageSync, WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { getGraph, ProblemError } from "../api";
import { EMPTY_SCENE, followScene, type Scene } from "../graph/scene";
import type { Identity } from "../identity";
import { INITIAL, next, receiptToAsk, type SaveEvent, type SaveState } from "../saved";
import { Store } from "../store";
import { DURABLE, decodeReceipt, encodeReceipt } from "./durable";
import { type Person, peopleIn } from "./presence";
import { followTitle } from "./title";

const EXISTENCE_CHECK_INTERVAL_MS = 5_000;

export class LiveGraph {
  readonly doc = new Y.Doc();
  /** The name that the document has, null while it has none. */
  readonly title = new Store<string | null>(null);
  readonly scene = new Store<Scene>(EMPTY_SCENE);
  readonly saved = new Store<SaveState>(INITIAL);
  readonly people = new Store<Person[]>([]);
  /** Whether the graph has arrived once; an empty scene before that says nothing. */
  readonly arrived = new Store(false);
  readonly #graphId: string;
  readonly #provider: WebsocketProvider;
  readonly #closing = new AbortController();
  readonly #unfollow: (() => void)[];
  #checkedAtMs = 0;

  constructor(graphId: string, syncUrl: string, identity: Identity) {
    this.#graphId = graphId;
    this.#provider = new WebsocketProvider(syncUrl, encodeURIComponent(graphId), this.doc, {
      connect: false,
      disableBc: true, // edits of another tab would show here before anyone could call them saved
    });
    this.#unfollow = [
      followScene(this.doc, requestAnimationFrame, this.scene.set.bind(this.scene)),
      followTitle(this.doc, this.title.set.bind(this.title)),
    ];
    this.#listen();
    this.setIdentity(identity);
    this.#provider.connect();
  }

  setIdentity(identity: Identity): void {
    this.#provider.awareness.setLocalStateField("user", identity);
  }

  setSelection(nodeId: string | null): void {
    this.#provider.awareness.setLocalStateField("selection", nodeId);
  }

  close(): void {
    this.#closing.abort();
    for (const stop of this.#unfollow) stop();
    this.#provider.awareness.destroy();
    this.#provider.destroy();
    this.doc.destroy();
  }

  #listen(): void {
    const provider = this.#provider;
    // Registered after the provider's own handler, which has then sent the update already.
    this.doc.on("update", (_update, _origin, _doc, transaction) => {
      if (transaction.local) this.#note({ type: "edited" });
    });
    provider.on("status", ({ status }) => {
      if (status === "connected") this.#note({ type: "opened" });
    });
    provider.on("sync", (synced) => synced && this.#synced());
    provider.on("connection-close", (event) => this.#closed(event?.code ?? null));
    provider.awareness.on("change", () => this.#readPeople());
    this.#handleMessages();
  }

  #handleMessages(): void {
    const handlers = this.#provider.messageHandlers;
    const sync = handlers[messageSync];
    handlers[messageSync] = (encoder, decoder, ...rest) => {
      const asked = decoding.peekVarUint(decoder) === messageYjsSyncStep1;
      sync?.(encoder, decoder, ...rest);
      // The provider sends the answer when its handler returns, a microtask runs after that.
      if (asked) queueMicrotask(() => this.#note({ type: "answered" }));
    };
    handlers[messageAuth] = () => this.#note({ type: "denied" });
    handlers[DURABLE] = (_encoder, decoder) =>
      this.#note({ type: "echoed", receipt: decodeReceipt(decoder) });
  }

  #note(event: SaveEvent): void {
    const before = this.saved.get();
    const after = next(before, event);
    this.saved.set(after);
    const isNews = event.type === "edited" || before.link.at !== "live";
    const receipt = isNews ? receiptToAsk(after) : null;
    const socket = this.#provider.ws;
    if (receipt && socket?.readyState === WebSocket.OPEN) socket.send(encodeReceipt(receipt));
  }

  #synced(): void {
    this.arrived.set(true);
    this.#note({ type: "synced" });
  }

  #closed(code: number | null): void {
    this.#note({ type: "closed", code });
    void this.#checkExistence();
  }

  /** A refused upgrade looks like a broken network to a web page, so ask whether the graph is gone. */
  async #checkExistence(): Promise<void> {
    if (Date.now() - this.#checkedAtMs < EXISTENCE_CHECK_INTERVAL_MS) return;
    this.#checkedAtMs = Date.now();
    try {
      await getGraph(this.#graphId, this.#closing.signal);
    } catch (error) {
      if (error instanceof ProblemError && error.status === 404) this.#missing();
    }
  }

  #missing(): void {
    this.#note({ type: "missing" });
    this.#provider.disconnect();
  }

  #readPeople(): void {
    const { awareness } = this.#provider;
    this.people.set(peopleIn(awareness.getStates(), awareness.clientID));
  }
}

/** The address of the sync endpoint on the server that this page came from. */
export function syncUrlOf(location: Location): string {
  return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/sync`;
}
