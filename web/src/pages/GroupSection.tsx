import { useState } from "react";
import { createProject, mayEdit, type Project } from "../api/catalogue";
import type { Group } from "../api/groups";
import { NameForm } from "../parts/NameForm";
import { groupHref } from "../routes";
import { ROLE_WORDS } from "../words";
import { ProjectSection } from "./ProjectSection";

interface GroupSectionProps {
  group: Group;
  projects: Project[];
  reload: () => void;
}

/** A group with its projects. */
export function GroupSection({ group, projects, reload }: GroupSectionProps) {
  const [naming, setNaming] = useState(false);
  const canCreate = group.role !== null && mayEdit(group.role);
  const create = async (name: string) => {
    await createProject(name, group.id);
    setNaming(false);
    reload();
  };
  return (
    <section className="group" aria-label={group.name}>
      <GroupHead group={group} canCreate={canCreate && !naming} create={() => setNaming(true)} />
      {naming && (
        <NameForm
          label={`Name of the new project in ${group.name}`}
          placeholder="For example: Order system"
          submitLabel="Create project"
          submit={create}
          cancel={() => setNaming(false)}
        />
      )}
      {projects.length === 0 && !naming && <p className="quiet">No projects yet.</p>}
      {projects.map((project) => (
        <ProjectSection key={project.id} project={project} Heading="h3" />
      ))}
    </section>
  );
}

interface GroupHeadProps {
  group: Group;
  canCreate: boolean;
  create: () => void;
}

function GroupHead({ group, canCreate, create }: GroupHeadProps) {
  return (
    <div className="group-head">
      <h2>{group.name}</h2>
      {group.role && <span className="badge">{ROLE_WORDS[group.role].name}</span>}
      <a className="button apart" href={groupHref(group.id)}>
        Members<span className="unseen"> of {group.name}</span>
      </a>
      {canCreate && (
        <button type="button" className="button primary" onClick={create}>
          New project<span className="unseen"> in {group.name}</span>
        </button>
      )}
    </div>
  );
}
