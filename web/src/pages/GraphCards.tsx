import type { Graph } from "../api/catalogue";
import { Ago } from "../parts/times";
import { graphHref } from "../routes";

export function GraphCards({ graphs }: { graphs: Graph[] }) {
  return (
    <ul className="graph-list">
      {graphs.map((graph) => (
        <GraphCard key={graph.id} graph={graph} />
      ))}
    </ul>
  );
}

function GraphCard({ graph }: { graph: Graph }) {
  return (
    <li>
      <a className="graph-card" href={graphHref(graph.id)}>
        <span className="graph-name">{graph.name}</span>
        {graph.description && <span className="quiet">{graph.description}</span>}
        <span className="graph-foot">
          <span className="badge">{graph.graph_type}</span>
          <Ago at={graph.updated_at} />
        </span>
      </a>
    </li>
  );
}
