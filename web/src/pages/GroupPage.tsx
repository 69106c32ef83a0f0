import { useCallback } from "react";
import { type Group, listGroups } from "../api/groups";
import { useLoad } from "../loading";
import { Notice } from "../parts/Notice";
import { PageFrame } from "../parts/PageFrame";
import { HOME_HREF } from "../routes";
import { useMe } from "../session/useWho";
import { ROLE_WORDS, sentenceOf } from "../words";
import { GroupNameForm } from "./group/GroupNameForm";
import { Invitations } from "./group/Invitations";
import { Members } from "./group/Members";

/** Who is in a group, and for its admins who may come in. */
export function GroupPage({ groupId }: { groupId: string }) {
  const load = useCallback(
    async (signal: AbortSignal) => (await listGroups(signal)).find(({ id }) => id === groupId),
    [groupId],
  );
  const [group, reload] = useLoad<Group | undefined>(load);
  if (group.state === "loading") return <p className="loading">Opening the group…</p>;
  if (group.state === "failed")
    return <NotOpened advice={sentenceOf(group.error)} retry={reload} />;
  if (group.value === undefined) {
    return <NotOpened advice="It is gone, or you are not in it any more." retry={reload} />;
  }
  return <Opened group={group.value} reload={reload} />;
}

function Opened({ group, reload }: { group: Group; reload: () => void }) {
  const isAdmin = useMe().is_admin || group.role === "admin";
  return (
    <PageFrame title={group.name}>
      <div className="home-title">
        <h1>{group.name}</h1>
        <span className="badge">
          {group.role ? ROLE_WORDS[group.role].name : "You are not a member"}
        </span>
      </div>
      <Members groupId={group.id} isAdmin={isAdmin} roleChanged={reload} />
      {isAdmin && <Invitations groupId={group.id} />}
      {group.role === "admin" && <GroupNameForm group={group} renamed={reload} />}
    </PageFrame>
  );
}

function NotOpened({ advice, retry }: { advice: string; retry: () => void }) {
  return (
    <main className="middle">
      <Notice title="The group did not open" advice={advice} tone="bad">
        <button type="button" className="button primary" onClick={retry}>
          Try again
        </button>
        <a className="button" href={HOME_HREF}>
          All graphs
        </a>
      </Notice>
    </main>
  );
}
