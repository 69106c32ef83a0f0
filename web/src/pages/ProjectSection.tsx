import { useCallback, useState } from "react";
import { createGraph, type Graph, listGraphs, mayEdit, type Project } from "../api/catalogue";
import { type Loaded, useLoad } from "../loading";
import { NameForm } from "../parts/NameForm";
import { graphHref } from "../routes";
import { GraphCards } from "./GraphCards";

interface ProjectSectionProps {
  project: Project;
  Heading?: "h2" | "h3";
}

/** A project and its graphs. */
export function ProjectSection({ project, Heading = "h2" }: ProjectSectionProps) {
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
        <Heading>{project.name}</Heading>
        {project.description && <p className="quiet">{project.description}</p>}
        {mayEdit(project.role) && !naming && (
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
      <GraphList graphs={graphs} retry={reload} mayAdd={mayEdit(project.role)} />
    </section>
  );
}

interface GraphListProps {
  graphs: Loaded<Graph[]>;
  retry: () => void;
  mayAdd: boolean;
}

function GraphList({ graphs, retry, mayAdd }: GraphListProps) {
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
  if (graphs.value.length === 0) {
    return (
      <p className="quiet">{mayAdd ? "No graphs yet. Add the first one." : "No graphs yet."}</p>
    );
  }
  return <GraphCards graphs={graphs.value} />;
}
