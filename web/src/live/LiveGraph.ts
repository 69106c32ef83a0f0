/** One open graph: its document, its connection, who is there, and whether edits are saved. */
import * as decoding from "lib0/decoding";
import { messageYjsSyncStep1 } from "y-protocols/sync";
import { messageAuth, messageSync, WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { type GraphHead, getGraph, getRole, type Role } from "../api/catalogue";
import { ProblemError } from "../api/send";
import { EMPTY_SCENE, followScene, type Scene } from "../graph/scene";
import type { Identity } from "../identity";
import { INITIAL, next, receiptToAsk, type SaveEvent, type SaveState } from "../saved";
import { renew } from "../session/renewal";
import { sessionEnded } from "../session/who";
import { Store } from "../store";
import { type Access, tokenOf } from "./access";
import { DURABLE, decodeReceipt, encodeReceipt } from "./durable";
import { type Person, peopleIn } from "./presence";
import { keepLooking, Rights } from "./Rights";
import { followTitle } from "./title";

const UNAUTHENTICATED = 4401;

export interface Opening {
  /** As it was when the page was opened. */
  graph: GraphHead;
  access: Access;
}

export class LiveGraph {
  readonly doc = new Y.Doc();
  /** The name that the document has, null while it has none. */
  readonly title = new Store<string | null>(null);
  readonly scene = new Store<Scene>(EMPTY_SCENE);
  readonly saved = new Store<SaveState>(INITIAL);
  readonly people = new Store<Person[]>([]);
  /** Whether the graph has arrived once; an empty scene before that says nothing. */
  readonly arrived = new Store(false);
  readonly rights: Rights;
  readonly #opening: Opening;
  readonly #provider: WebsocketProvider;
  readonly #closing = new AbortController();
  readonly #unfollow: (() => void)[];
  /** Whether the session was renewed since the server last took us in. */
  #renewed = false;

  constructor(opening: Opening, syncUrl: string, identity: Identity) {
    this.#opening = opening;
    const token = tokenOf(opening.access);
    this.#provider = new WebsocketProvider(
      syncUrl,
      encodeURIComponent(opening.graph.id),
      this.doc,
      {
        connect: false,
        params: token === undefined ? {} : { token },
        disableBc: true, // edits of another tab would show here before anyone could call them saved
      },
    );
    this.rights = new Rights(opening.graph.role, {
      look: () => this.#look(),
      lost: (status) => this.#lost(status),
      raised: () => this.#again(),
      now: Date.now,
    });
    this.#unfollow = [
      followScene(this.doc, requestAnimationFrame, this.scene.set.bind(this.scene)),
      followTitle(this.doc, this.title.set.bind(this.title)),
      opening.access.by === "session" ? keepLooking(this.rights) : () => {},
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

  /** Connect or stay away, as long as nobody is signed in; edits are kept meanwhile. */
  setOnline(online: boolean): void {
    if (online) this.#provider.connect();
    else this.#provider.disconnect();
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
    handlers[messageAuth] = () => {
      this.#note({ type: "denied" });
      this.rights.refused();
    };
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
    this.#renewed = false;
    // What changed while the connection was broken, nobody tells over the new one.
    if (this.arrived.get() && this.#opening.access.by !== "open") void this.rights.ask();
    this.arrived.set(true);
    this.#note({ type: "synced" });
  }

  #closed(code: number | null): void {
    if (code === UNAUTHENTICATED && this.#opening.access.by === "session") {
      this.#note({ type: "closed", code: null });
      void this.#renew();
      return;
    }
    this.#note({ type: "closed", code });
    // A refused upgrade looks like a broken network to a web page, so ask over HTTP what the matter is.
    if (code !== null && this.saved.get().link.at === "offline") void this.rights.look();
  }

  /** The session ran out under the socket: renew it once, else somebody has to sign in. */
  async #renew(): Promise<void> {
    if (this.#renewed) return sessionEnded();
    this.#renewed = true;
    try {
      await renew();
    } catch (error) {
      if (error instanceof ProblemError) return sessionEnded();
    }
    if (!this.#closing.signal.aborted) this.#provider.connect();
  }

  async #look(): Promise<Role | null> {
    const { graph, access } = this.#opening;
    if (access.by === "session") return getRole(graph, this.#closing.signal);
    return (await getGraph(graph.id, this.#closing.signal, tokenOf(access))).role;
  }

  /** A new connection sends what the server lacks, refused edits too. */
  #again(): void {
    if (!this.saved.get().readOnly) return;
    this.#provider.disconnect();
    this.#provider.connect();
  }

  #lost(status: number): void {
    if (status === 404) this.#note({ type: "missing" });
    else if (status === 401 && this.#opening.access.by === "share") {
      this.#note({ type: "closed", code: UNAUTHENTICATED });
    } else return;
    this.#provider.disconnect();
  }

  #readPeople(): void {
    const { awareness } = this.#provider;
    const areVerified = this.#opening.access.by !== "open";
    this.people.set(peopleIn(awareness.getStates(), awareness.clientID, areVerified));
  }
}

/** The address of the sync endpoint on the server that this page came from. */
export function syncUrlOf(location: Location): string {
  return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/sync`;
}
