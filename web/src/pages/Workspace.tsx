import { type GraphHead, mayEdit } from "../api/catalogue";
import { LiveBoard } from "../drawing/LiveBoard";
import type { Identity } from "../identity";
import type { Access } from "../live/access";
import type { LiveGraph } from "../live/LiveGraph";
import { useLiveGraph } from "../live/useLiveGraph";
import { Notice } from "../parts/Notice";
import { RightsBar } from "../parts/RightsBar";
import { type SaveState, unsaved } from "../saved";
import { edits, STOP_WORDS } from "../savedWords";
import { useStore } from "../store";
import { useIdentity, useNamed } from "../useIdentity";
import { ShareEnded } from "./SharePage";
import { TopBar } from "./TopBar";

interface WorkspaceProps {
  /** As it was when the page was opened. */
  graph: GraphHead;
  access: Access;
  /** What one is called here; null for who chooses a name. */
  ownName: string | null;
}

/** An open graph, joined as long as this is shown. */
export function Workspace({ graph, access, ownName }: WorkspaceProps) {
  return ownName === null ? (
    <ChosenName graph={graph} access={access} />
  ) : (
    <GivenName graph={graph} access={access} name={ownName} />
  );
}

type Opened = Omit<WorkspaceProps, "ownName">;

function ChosenName(props: Opened) {
  const [own, rename] = useIdentity();
  return <Joined {...props} own={own} rename={rename} />;
}

function GivenName({ name, ...props }: Opened & { name: string }) {
  return <Joined {...props} own={useNamed(name)} rename={null} />;
}

interface JoinedProps extends Opened {
  own: Identity;
  rename: ((name: string) => void) | null;
}

function Joined({ graph, access, own, rename }: JoinedProps) {
  const live = useLiveGraph({ graph, access }, own);
  if (live === null) return <p className="loading">Opening the graph…</p>;
  return (
    <div className="workspace">
      <TopBar live={live} graph={graph} access={access} own={own} rename={rename} />
      <Body live={live} access={access} />
    </div>
  );
}

function Body({ live, access }: { live: LiveGraph; access: Access }) {
  const saved = useStore(live.saved);
  const role = useStore(live.rights.role);
  if (saved.link.at !== "stopped") {
    return (
      <>
        <RightsBar live={live} />
        <LiveBoard live={live} editable={mayEdit(role) && !saved.readOnly} />
      </>
    );
  }
  if (access.by === "share" && saved.link.why === "unauthenticated") return <ShareEnded />;
  return <Stopped saved={saved} />;
}

function Stopped({ saved }: { saved: SaveState }) {
  if (saved.link.at !== "stopped") return null;
  const { title, advice } = STOP_WORDS[saved.link.why];
  const lost = unsaved(saved);
  const loss = lost > 0 ? ` ${edits(lost)} made in this tab could not be saved.` : "";
  return (
    <main className="middle">
      <Notice title={title} advice={advice + loss} tone="bad">
        <button type="button" className="button primary" onClick={() => location.reload()}>
          Reload
        </button>
        <a className="button" href="#/">
          All graphs
        </a>
      </Notice>
    </main>
  );
}
