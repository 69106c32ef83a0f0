/** The graph's name as its document has it, so that a rename by anyone is seen at once. */
import type * as Y from "yjs";

/** Publish the name now and after each change of it; null where the document has none to show. Returns what ends it. */
export function followTitle(doc: Y.Doc, publish: (title: string | null) => void): () => void {
  const meta = doc.getMap("meta");
  const read = () => publish(shown(meta.get("name")));
  meta.observe(read);
  read();
  return () => meta.unobserve(read);
}

function shown(name: unknown): string | null {
  return typeof name === "string" && name.trim() !== "" ? name : null;
}
