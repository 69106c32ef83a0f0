import { useEffect, useState } from "react";
import { type GraphHead, mayEdit } from "../api/catalogue";
import { type Identity, initials } from "../identity";
import type { Access } from "../live/access";
import type { LiveGraph } from "../live/LiveGraph";
import { AccountMenu } from "../parts/AccountMenu";
import { Logo } from "../parts/Logo";
import { OwnName } from "../parts/OwnName";
import { People } from "../parts/People";
import { SavedPill } from "../parts/SavedPill";
import { tint } from "../parts/tint";
import { HOME_HREF } from "../routes";
import { ShareDialog } from "../sharing/ShareDialog";
import { useStore } from "../store";

interface TopBarProps {
  live: LiveGraph;
  graph: GraphHead;
  access: Access;
  own: Identity;
  /** Null for who is called as the account or the link says. */
  rename: ((name: string) => void) | null;
}

export function TopBar({ live, graph, access, own, rename }: TopBarProps) {
  const people = useStore(live.people);
  const title = useStore(live.title) ?? graph.name;
  useEffect(() => {
    document.title = `${title} – Layercake`;
  }, [title]);
  return (
    <header className="top-bar">
      <Home access={access} />
      <div className="title">
        <h1>{title}</h1>
        <Counts live={live} />
      </div>
      <Saved live={live} />
      <Share live={live} graph={graph} access={access} />
      <People people={people}>
        {rename && <OwnName own={own} rename={rename} />}
        {access.by === "session" && <AccountMenu />}
        {access.by === "share" && <Guest own={own} />}
      </People>
    </header>
  );
}

/** Guests have no list of graphs to go to. */
function Home({ access }: { access: Access }) {
  if (access.by === "share") return <Logo />;
  return (
    <a className="home-link" href={HOME_HREF} aria-label="All graphs">
      <Logo />
    </a>
  );
}

function Counts({ live }: { live: LiveGraph }) {
  const scene = useStore(live.scene);
  return (
    <p className="counts" data-testid="counts">
      {count(scene.nodes.size, "node")}, {count(scene.edges.size, "edge")}
    </p>
  );
}

function Saved({ live }: { live: LiveGraph }) {
  const saved = useStore(live.saved);
  const role = useStore(live.rights.role);
  const readOnly = saved.readOnly || !mayEdit(role);
  return <SavedPill state={{ ...saved, readOnly }} />;
}

function Share({ live, graph, access }: Pick<TopBarProps, "live" | "graph" | "access">) {
  const [open, setOpen] = useState(false);
  const role = useStore(live.rights.role);
  if (access.by !== "session" || role !== "admin") return null;
  return (
    <>
      <button type="button" className="button" onClick={() => setOpen(true)}>
        Share
      </button>
      {open && <ShareDialog graph={graph} close={() => setOpen(false)} />}
    </>
  );
}

function Guest({ own }: { own: Identity }) {
  return (
    <span className="avatar own guest" title={`You are ${own.name}`} style={tint(own.color)}>
      <span aria-hidden="true">{initials(own.name)}</span>
      <span className="unseen">You are {own.name}</span>
    </span>
  );
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
