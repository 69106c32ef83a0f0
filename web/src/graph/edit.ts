/** The edits this page can make. Each is one transaction, so it is one update on the wire. */
import * as Y from "yjs";
import type { Point } from "./scene";

type Fields = Y.Map<unknown>;

export interface NewNode {
  label: string;
  layer: string | null;
  parent: string | null;
  position: Point;
}

/** Write `position` of each node that still exists. */
export function moveNodes(doc: Y.Doc, positions: ReadonlyMap<string, Point>): void {
  doc.transact(() => {
    for (const [id, { x, y }] of positions) {
      fieldsOf(doc, id)?.set("position", { x: Math.round(x), y: Math.round(y) });
    }
  });
}

export function renameNode(doc: Y.Doc, id: string, label: string): void {
  fieldsOf(doc, id)?.set("label", label);
}

export function addNode(doc: Y.Doc, id: string, node: NewNode): void {
  const fields = new Y.Map<unknown>();
  fields.set("label", node.label);
  fields.set("is_partition", false);
  fields.set("position", node.position);
  if (node.layer !== null) fields.set("layer", node.layer);
  if (node.parent !== null) fields.set("belongs_to", node.parent);
  doc.getMap("nodes").set(id, fields);
}

/** Delete a node and the edges that touch it; what it contained moves to the container around it. */
export function deleteNode(doc: Y.Doc, id: string): void {
  doc.transact(() => {
    const parent = fieldsOf(doc, id)?.get("belongs_to");
    for (const child of entities(doc, "nodes", (fields) => fields.get("belongs_to") === id)) {
      reparent(fieldsOf(doc, child), parent);
    }
    const touches = (edge: Fields) => edge.get("source") === id || edge.get("target") === id;
    for (const edge of entities(doc, "edges", touches)) doc.getMap("edges").delete(edge);
    doc.getMap("nodes").delete(id);
  });
}

/** Make an id that no other tab makes; works on plain http too, where randomUUID does not exist. */
export function newNodeId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return `node_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function fieldsOf(doc: Y.Doc, id: string): Fields | undefined {
  const fields = doc.getMap("nodes").get(id);
  return fields instanceof Y.Map ? fields : undefined;
}

function entities(doc: Y.Doc, root: string, matches: (fields: Fields) => boolean): string[] {
  return [...doc.getMap(root).entries()]
    .filter(([, fields]) => fields instanceof Y.Map && matches(fields))
    .map(([id]) => id);
}

function reparent(fields: Fields | undefined, parent: unknown): void {
  if (typeof parent === "string") fields?.set("belongs_to", parent);
  else fields?.delete("belongs_to");
}
