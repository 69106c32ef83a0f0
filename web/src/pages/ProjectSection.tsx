import { useCallback, useState } from "react";
import { createGraph, type Graph, listGraphs, type Project } from "../api";
import { type Loaded, useLoad } from "../loading";
import { NameForm } from "../parts/NameForm";
import { graphHref } from "../routes";
import { ago } from "../time";

/** A project and its graphs. */
export function ProjectSection({ project }: { project: Project }) {
  const load = useCallback((signal: AbortSignal) => listGraphs(project.id, signal), [project.id]);
  const [graphs, reload] = useLoad(load);
  const [naming, setNaming] = useState(false);
  const create = async (name: string) => {
    const graph = await createGraph(project.id, name);
    location.hash = graphHref(graph.id);
  };
  return (
    <section className="project" aria-label={project.name}>
      <div className="project-head">
        <h2>{project.name}</h2>
        {project.description && <p className="quiet">{project.description}</p>}
        {!naming && (
          <button type="button" className="button" onClick={() => setNaming(true)}>
            New graph<span className="unseen"> in {project.name}</span>
          </button>
        )}
      </div>
      {naming && (
        <NameForm
          label={`Name of the new graph in ${project.name}`}
          placeholder="For example: Services and tables"
          submitLabel="Create graph"
          submit={create}
          cancel={() => setNaming(false)}
        />
      )}
      <GraphList graphs={graphs} retry={reload} />
    </section>
  );
}

function GraphList({ graphs, retry }: { graphs: Loaded<Graph[]>; retry: () => void }) {
  if (graphs.state === "loading") return <p className="quiet">Loading graphs…</p>;
  if (graphs.state === "failed") {
    return (
      <p className="form-error" role="alert">
        The graphs did not load. {graphs.error.message}{" "}
        <button type="button" className="link-button" onClick={retry}>
          Try again
        </button>
      </p>
    );
  }
  if (graphs.value.length === 0) return <p className="quiet">No graphs yet. Add the first one.</p>;
  return (
    <ul className="graph-list">
      {graphs.value.map((graph) => (
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
          <time dateTime={graph.updated_at} title={new Date(graph.updated_at).toLocaleString()}>
            {ago(graph.updated_at, Date.now())}
          </time>
        </span>
      </a>
    </li>
  );
}
