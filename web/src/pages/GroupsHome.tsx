import { useEffect } from "react";
import { listProjects, listSharedGraphs, type Project } from "../api/catalogue";
import { type Group, listGroups } from "../api/groups";
import { useLoad } from "../loading";
import { Notice } from "../parts/Notice";
import { PageFrame } from "../parts/PageFrame";
import { Placeholders } from "../parts/Placeholders";
import { USERS_HREF } from "../routes";
import { forgetShare } from "../session/share";
import { useMe } from "../session/useWho";
import { sentenceOf } from "../words";
import { GraphCards } from "./GraphCards";
import { GroupSection } from "./GroupSection";

/** What one may see: the projects of each group one is in, and single graphs that were shared. */
export function GroupsHome() {
  const [found, reload] = useLoad(load);
  useEffect(() => forgetShare(sessionStorage), []); // from here one opens graphs as oneself
  return (
    <PageFrame title={null}>
      <div className="home-title">
        <h1>Projects</h1>
      </div>
      {found.state === "loading" && <Placeholders />}
      {found.state === "failed" && (
        <Notice title="The projects did not load" advice={sentenceOf(found.error)} tone="bad">
          <button type="button" className="button primary" onClick={reload}>
            Try again
          </button>
        </Notice>
      )}
      {found.state === "ready" && <Everything {...found.value} reload={reload} />}
    </PageFrame>
  );
}

type Found = Awaited<ReturnType<typeof load>>;

async function load(signal: AbortSignal) {
  const [groups, projects, shared] = await Promise.all([
    listGroups(signal),
    listProjects(signal),
    listSharedGraphs(signal),
  ]);
  return { groups: groups.filter(({ role }) => role !== null), projects, shared };
}

function Everything({ groups, projects, shared, reload }: Found & { reload: () => void }) {
  if (groups.length === 0 && shared.length === 0) return <NoGroup />;
  return (
    <>
      {groups.map((group) => (
        <GroupSection
          key={group.id}
          group={group}
          projects={projectsOf(projects, group)}
          reload={reload}
        />
      ))}
      {shared.length > 0 && (
        <section className="project" aria-label="Shared with you">
          <div className="project-head">
            <h2>Shared with you</h2>
          </div>
          <GraphCards graphs={shared} />
        </section>
      )}
    </>
  );
}

function NoGroup() {
  const { is_admin } = useMe();
  return is_admin ? (
    <Notice title="You are in no group" advice="A group has projects, and people who work on them.">
      <a className="button primary" href={USERS_HREF}>
        People and groups
      </a>
    </Notice>
  ) : (
    <Notice
      title="You are in no group"
      advice="Ask somebody whose group it is for an invitation."
    />
  );
}

function projectsOf(projects: Project[], { id }: Group): Project[] {
  return projects.filter(({ group_id }) => group_id === id);
}
