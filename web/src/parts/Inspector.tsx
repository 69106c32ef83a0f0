import type { Scene, SceneNode } from "../graph/scene";

interface InspectorProps {
  scene: Scene;
  node: SceneNode;
  editable: boolean;
  rename: () => void;
  remove: () => void;
}

/** What there is to know about the selected node. */
export function Inspector({ scene, node, editable, rename, remove }: InspectorProps) {
  const edges = [...scene.edges.values()];
  const facts: [string, string | undefined][] = [
    ["Id", node.id],
    ["Layer", scene.layers.get(node.layer ?? "")?.name ?? node.layer ?? undefined],
    ["Inside", scene.nodes.get(node.parent ?? "")?.label],
    ["Comment", node.comment ?? undefined],
    ["Edges in", String(edges.filter(({ target }) => target === node.id).length)],
    ["Edges out", String(edges.filter(({ source }) => source === node.id).length)],
  ];
  return (
    <section className="card" aria-label="Selected node">
      <h2>{node.label}</h2>
      <dl className="facts">
        {facts.map(
          ([name, value]) =>
            value !== undefined && (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ),
        )}
      </dl>
      {editable && (
        <div className="card-actions">
          <button type="button" className="button" onClick={rename}>
            Rename
          </button>
          <button type="button" className="button danger" onClick={remove}>
            Delete
          </button>
        </div>
      )}
    </section>
  );
}
