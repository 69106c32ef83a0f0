import { useState } from "react";
import { createProject, listProjects, type Project } from "../api/catalogue";
import { type Loaded, useLoad } from "../loading";
import { NameForm } from "../parts/NameForm";
import { Notice } from "../parts/Notice";
import { PageFrame } from "../parts/PageFrame";
import { Placeholders } from "../parts/Placeholders";
import { ProjectSection } from "./ProjectSection";

/** All projects of a server without accounts. */
export function OpenHome() {
  const [projects, reload] = useLoad(listProjects);
  const [naming, setNaming] = useState(false);
  const create = async (name: string) => {
    await createProject(name, null);
    setNaming(false);
    reload();
  };
  return (
    <PageFrame title={null}>
      <div className="home-title">
        <h1>Projects</h1>
        {projects.state === "ready" && projects.value.length > 0 && !naming && (
          <NewProject open={() => setNaming(true)} />
        )}
      </div>
      {naming && (
        <NameForm
          label="Name of the new project"
          placeholder="For example: Order system"
          submitLabel="Create project"
          submit={create}
          cancel={() => setNaming(false)}
        />
      )}
      <ProjectList
        projects={projects}
        retry={reload}
        quiet={naming}
        start={() => setNaming(true)}
      />
    </PageFrame>
  );
}

interface ProjectListProps {
  projects: Loaded<Project[]>;
  retry: () => void;
  start: () => void;
  /** Someone is naming the first project already. */
  quiet: boolean;
}

function ProjectList({ projects, retry, start, quiet }: ProjectListProps) {
  if (projects.state === "loading") return <Placeholders />;
  if (projects.state === "failed") {
    return (
      <Notice title="The projects did not load" advice={projects.error.message} tone="bad">
        <button type="button" className="button primary" onClick={retry}>
          Try again
        </button>
      </Notice>
    );
  }
  if (projects.value.length > 0) {
    return projects.value.map((project) => <ProjectSection key={project.id} project={project} />);
  }
  if (quiet) return null;
  return (
    <Notice
      title="No projects yet"
      advice="A project holds graphs that belong together. Create one, then add a graph to it."
    >
      <NewProject open={start} />
    </Notice>
  );
}

function NewProject({ open }: { open: () => void }) {
  return (
    <button type="button" className="button primary" onClick={open}>
      New project
    </button>
  );
}
