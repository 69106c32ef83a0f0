import { expect, test } from "vitest";
import * as Y from "yjs";
import { extremes } from "./colour";
import { addNode, deleteNode, moveNodes, renameNode } from "./edit";
import { EMPTY_SCENE, followScene, type Scene } from "./scene";

/** What was published, with turns taken by `settle`. */
class Follower {
  scene: Scene = EMPTY_SCENE;
  published = 0;
  #turns: (() => void)[] = [];

  constructor(doc: Y.Doc) {
    followScene(doc, (turn) => this.#turns.push(turn), this.#publish);
  }

  settle(): Scene {
    for (const turn of this.#turns.splice(0)) turn();
    return this.scene;
  }

  readonly #publish = (scene: Scene) => {
    this.scene = scene;
    this.published += 1;
  };
}

function put(doc: Y.Doc, root: string, id: string, fields: Record<string, unknown>): void {
  doc.getMap(root).set(id, new Y.Map(Object.entries(fields)));
}

test("WEB-6: fields of the wrong kind read as absent, entries of the wrong kind are left out", () => {
  const doc = new Y.Doc();
  put(doc, "nodes", "a", { label: 7, layer: [], is_partition: "yes", position: { x: "1", y: 2 } });
  put(doc, "edges", "half", { source: "a" });
  doc.getMap("nodes").set("junk", "text");
  doc.getMap("nodes").set("__proto__", new Y.Map([["label", "Proto"]]));
  const current = new Follower(doc).scene;
  expect(current.nodes.get("a")).toEqual({
    id: "a",
    label: "a",
    layer: null,
    isPartition: false,
    parent: null,
    comment: null,
    position: null,
  });
  expect([...current.nodes.keys()].sort()).toEqual(["__proto__", "a"]);
  expect(current.edges.size).toBe(0);
});

test("colours come with or without #, or as names", () => {
  const doc = new Y.Doc();
  const colours = { background_color: "FFcc00", text_color: "#abc", border_color: "teal" };
  put(doc, "layers", "one", colours);
  put(doc, "layers", "two", { background_color: "url(http://elsewhere)", text_color: 5 });
  const { layers } = new Follower(doc).scene;
  expect(layers.get("one")).toMatchObject({ background: "#ffcc00", text: "#abc", border: "teal" });
  expect(layers.get("two")).toMatchObject({ background: null, text: null, border: null });
});

test.each([
  [
    ["#ffcccc", "#990000", "#600"],
    ["#600", "#ffcccc"],
  ],
  [
    ["teal", null, "#002a40"],
    ["#002a40", "#002a40"],
  ],
  [["teal", null, null], null],
])("the darkest and the lightest of %j", (colours, found) => {
  expect(extremes(colours)).toEqual(found);
});

test("a change reads only what changed", () => {
  const doc = new Y.Doc();
  put(doc, "nodes", "a", { label: "A" });
  put(doc, "nodes", "b", { label: "B" });
  const seen = new Follower(doc);
  const before = seen.scene.nodes.get("b");
  renameNode(doc, "a", "Again");
  expect(seen.settle().nodes.get("a")?.label).toBe("Again");
  expect(seen.scene.nodes.get("b")).toBe(before);
});

test("an edit is one transaction and a move rounds to whole units", () => {
  const doc = new Y.Doc();
  put(doc, "nodes", "a", {});
  put(doc, "nodes", "b", {});
  const seen = new Follower(doc);
  moveNodes(
    doc,
    new Map([
      ["a", { x: 1.4, y: 2.6 }],
      ["b", { x: 0, y: 0 }],
      ["gone", { x: 0, y: 0 }],
    ]),
  );
  const { nodes } = seen.settle();
  expect(seen.published).toBe(2);
  expect(nodes.get("a")?.position).toEqual({ x: 1, y: 3 });
  expect(nodes.size).toBe(2);
});

test("WEB-7: deleting a node deletes its incident edges and keeps its children, one level up", () => {
  const doc = new Y.Doc();
  put(doc, "nodes", "outer", { is_partition: true });
  put(doc, "nodes", "inner", { is_partition: true, belongs_to: "outer" });
  put(doc, "nodes", "leaf", { belongs_to: "inner" });
  put(doc, "edges", "out", { source: "inner", target: "leaf" });
  put(doc, "edges", "in", { source: "leaf", target: "inner" });
  put(doc, "edges", "other", { source: "outer", target: "leaf" });
  const seen = new Follower(doc);
  deleteNode(doc, "inner");
  expect([...seen.settle().nodes.keys()].sort()).toEqual(["leaf", "outer"]);
  expect([...seen.scene.edges.keys()]).toEqual(["other"]);
  expect(seen.scene.nodes.get("leaf")?.parent).toBe("outer");
  deleteNode(doc, "outer");
  expect(seen.settle().nodes.get("leaf")?.parent).toBeNull();
});

test("a new node carries only the fields it has", () => {
  const doc = new Y.Doc();
  addNode(doc, "n", { label: "N", layer: null, parent: null, position: { x: 1, y: 2 } });
  const fields = doc.getMap("nodes").get("n") as Y.Map<unknown>;
  expect(fields.toJSON()).toEqual({ label: "N", is_partition: false, position: { x: 1, y: 2 } });
});
