/**
 * What is drawn, read from the shared document. Total: a field of the wrong kind reads as absent,
 * so nothing that anyone writes into the document can stop the page.
 */
import * as Y from "yjs";
import { parseColour } from "./colour";

export interface Point {
  x: number;
  y: number;
}

export interface SceneNode {
  id: string;
  label: string;
  layer: string | null;
  isPartition: boolean;
  parent: string | null;
  comment: string | null;
  position: Point | null;
}

export interface SceneEdge {
  id: string;
  source: string;
  target: string;
  label: string;
  layer: string | null;
}

export interface SceneLayer {
  id: string;
  name: string;
  background: string | null;
  text: string | null;
  border: string | null;
}

export interface Scene {
  nodes: ReadonlyMap<string, SceneNode>;
  edges: ReadonlyMap<string, SceneEdge>;
  layers: ReadonlyMap<string, SceneLayer>;
}

type Fields = Y.Map<unknown>;
type Root = Y.Map<unknown>;

export const EMPTY_SCENE: Scene = { nodes: new Map(), edges: new Map(), layers: new Map() };

/**
 * Publish the scene now and after each change, at most once per `schedule`d turn. Entities that did
 * not change stay the same objects. Returns what ends it.
 */
export function followScene(
  doc: Y.Doc,
  schedule: (turn: () => void) => void,
  publish: (scene: Scene) => void,
): () => void {
  const nodes = new Collection(doc.getMap("nodes"), readNode);
  const edges = new Collection(doc.getMap("edges"), readEdge);
  const layers = new Collection(doc.getMap("layers"), readLayer);
  let following = true;
  let scheduled = false;
  const turn = () => {
    scheduled = false;
    if (following) publish({ nodes: nodes.read(), edges: edges.read(), layers: layers.read() });
  };
  const stops = [nodes, edges, layers].map((collection) =>
    collection.follow(() => {
      if (scheduled) return;
      scheduled = true;
      schedule(turn);
    }),
  );
  turn();
  return () => {
    following = false;
    for (const stop of stops) stop();
  };
}

/** One root map: which of its entities changed since they were last read. */
class Collection<T> {
  readonly #dirty: Set<string>;
  #entities: ReadonlyMap<string, T> = new Map();

  constructor(
    readonly root: Root,
    readonly readOne: (id: string, fields: Fields) => T | null,
  ) {
    this.#dirty = new Set(root.keys());
  }

  follow(changed: () => void): () => void {
    const note = (events: Y.YEvent<Y.AbstractType<unknown>>[]) => {
      for (const event of events) {
        for (const id of changedIds(event, this.root)) this.#dirty.add(id);
      }
      changed();
    };
    this.root.observeDeep(note);
    return () => this.root.unobserveDeep(note);
  }

  read(): ReadonlyMap<string, T> {
    if (this.#dirty.size === 0) return this.#entities;
    const entities = new Map(this.#entities);
    for (const id of this.#dirty) {
      const fields = this.root.get(id);
      const entity = fields instanceof Y.Map ? this.readOne(id, fields) : null;
      if (entity === null) entities.delete(id);
      else entities.set(id, entity);
    }
    this.#dirty.clear();
    this.#entities = entities;
    return entities;
  }
}

function changedIds(event: Y.YEvent<Y.AbstractType<unknown>>, root: Root): Iterable<string> {
  return event.target === root
    ? (event as Y.YMapEvent<unknown>).keysChanged
    : [String(event.path[0])];
}

function readNode(id: string, fields: Fields): SceneNode {
  return {
    id,
    label: text(fields.get("label")) ?? id,
    layer: text(fields.get("layer")),
    isPartition: fields.get("is_partition") === true,
    parent: text(fields.get("belongs_to")),
    comment: text(fields.get("comment")),
    position: point(fields.get("position")),
  };
}

/** An edge without both ends is none. */
function readEdge(id: string, fields: Fields): SceneEdge | null {
  const source = text(fields.get("source"));
  const target = text(fields.get("target"));
  if (source === null || target === null) return null;
  return {
    id,
    source,
    target,
    label: text(fields.get("label")) ?? "",
    layer: text(fields.get("layer")),
  };
}

function readLayer(id: string, fields: Fields): SceneLayer {
  return {
    id,
    name: text(fields.get("name")) ?? id,
    background: parseColour(fields.get("background_color")),
    text: parseColour(fields.get("text_color")),
    border: parseColour(fields.get("border_color")),
  };
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function point(value: unknown): Point | null {
  const { x, y } = (value ?? {}) as Partial<Point>;
  return Number.isFinite(x) && Number.isFinite(y) ? { x: x as number, y: y as number } : null;
}
