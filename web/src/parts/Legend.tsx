import { layerStyle } from "../drawing/shapes";
import type { Scene } from "../graph/scene";

/** The layers with the number of nodes in each, and what else there is to count. */
export function Legend({ scene }: { scene: Scene }) {
  const counts = countByLayer(scene);
  const dangling = [...scene.edges.values()].filter(
    ({ source, target }) => !scene.nodes.has(source) || !scene.nodes.has(target),
  ).length;
  return (
    <section className="card" aria-label="Legend">
      <h2>Layers</h2>
      {scene.layers.size === 0 && <p className="quiet">This graph has no layers.</p>}
      <ul className="legend">
        {[...scene.layers.values()].map((layer) => (
          <li key={layer.id}>
            <span className="swatch" style={layerStyle(layer)} aria-hidden="true" />
            <span className="legend-name">{layer.name}</span>
            <span className="count">{counts.get(layer.id) ?? 0}</span>
          </li>
        ))}
      </ul>
      {dangling > 0 && (
        <p className="quiet">
          {dangling === 1 ? "1 edge is" : `${dangling} edges are`} not drawn: an end is missing.
        </p>
      )}
    </section>
  );
}

function countByLayer(scene: Scene): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { layer } of scene.nodes.values()) {
    if (layer !== null) counts.set(layer, (counts.get(layer) ?? 0) + 1);
  }
  return counts;
}
