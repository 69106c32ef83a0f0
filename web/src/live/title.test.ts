import { expect, test } from "vitest";
import * as Y from "yjs";
import { followTitle } from "./title";

test("LIFE-9: a new name in the document is published, whoever wrote it", () => {
  const [mine, theirs] = [new Y.Doc(), new Y.Doc()];
  theirs.on("update", (update) => Y.applyUpdate(mine, update));
  const titles: (string | null)[] = [];
  const stop = followTitle(mine, (title) => titles.push(title));
  theirs.getMap("meta").set("name", "Rail");
  theirs.getMap("meta").set("name", "Deck");
  stop();
  theirs.getMap("meta").set("name", "later");
  expect(titles).toEqual([null, "Rail", "Deck"]);
});

test("LIFE-9, WEB-6: what is no name to show is none", () => {
  const doc = new Y.Doc();
  let title: string | null = "before";
  followTitle(doc, (found) => {
    title = found;
  });
  for (const name of [5, " ", null, new Y.Map(), ["x"]]) {
    doc.getMap("meta").set("name", name);
    expect(title).toBeNull();
  }
});
