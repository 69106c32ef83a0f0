import { useEffect } from "react";
import { LiveBoard } from "../drawing/LiveBoard";
import type { Identity } from "../identity";
import type { LiveGraph } from "../live/LiveGraph";
import { useLiveGraph } from "../live/useLiveGraph";
import { Logo } from "../parts/Logo";
import { Notice } from "../parts/Notice";
import { People } from "../parts/People";
import { SavedPill } from "../parts/SavedPill";
import { type SaveState, unsaved } from "../saved";
import { edits, STOP_WORDS } from "../savedWords";
import { useStore } from "../store";
import { useIdentity } from "../useIdentity";

interface WorkspaceProps {
  graphId: string;
  /** Its name when the page was opened, shown until the document says another. */
  name: string;
}

/** An open graph, joined as long as this is shown. */
export function Workspace({ graphId, name }: WorkspaceProps) {
  const [own, rename] = useIdentity();
  const live = useLiveGraph(graphId, own);
  if (live === null) return <p className="loading">Opening the graph…</p>;
  return (
    <div className="workspace">
      <TopBar live={live} name={name} own={own} rename={rename} />
      <Body live={live} />
    </div>
  );
}

interface TopBarProps {
  live: LiveGraph;
  name: string;
  own: Identity;
  rename: (name: string) => void;
}

function TopBar({ live, name, own, rename }: TopBarProps) {
  const saved = useStore(live.saved);
  const people = useStore(live.people);
  const scene = useStore(live.scene);
  const title = useStore(live.title) ?? name;
  useEffect(() => {
    document.title = `${title} – Layercake`;
  }, [title]);
  return (
    <header className="top-bar">
      <a className="home-link" href="#/" aria-label="All graphs">
        <Logo />
      </a>
      <div className="title">
        <h1>{title}</h1>
        <p className="counts" data-testid="counts">
          {count(scene.nodes.size, "node")}, {count(scene.edges.size, "edge")}
        </p>
      </div>
      <SavedPill state={saved} />
      <People people={people} own={own} rename={rename} />
    </header>
  );
}

function Body({ live }: { live: LiveGraph }) {
  const saved = useStore(live.saved);
  if (saved.link.at === "stopped") return <Stopped saved={saved} />;
  return <LiveBoard live={live} editable={!saved.readOnly} />;
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

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
