import { useState } from "react";
import type { Scene, SceneNode } from "../graph/scene";
import { Inspector } from "./Inspector";
import { Legend } from "./Legend";

const WIDE_PX = 760;

interface SidePanelProps {
  scene: Scene;
  selected: SceneNode | null;
  editable: boolean;
  add: () => void;
  rename: (nodeId: string) => void;
  remove: (nodeId: string) => void;
}

/** Actions, the selected node and the legend; on a narrow screen the legend starts hidden. */
export function SidePanel(props: SidePanelProps) {
  const { scene, selected, editable } = props;
  const [open, setOpen] = useState(window.innerWidth >= WIDE_PX);
  return (
    <aside className="side-panel" aria-label="Graph panel">
      <div className="side-actions">
        {editable && (
          <button type="button" className="button primary" onClick={props.add}>
            Add node
          </button>
        )}
        <button
          type="button"
          className="button"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          {open ? "Hide legend" : "Legend"}
        </button>
      </div>
      {selected && (
        <Inspector
          scene={scene}
          node={selected}
          editable={editable}
          rename={() => props.rename(selected.id)}
          remove={() => props.remove(selected.id)}
        />
      )}
      {open && <Legend scene={scene} />}
      <p className="unseen" aria-live="polite">
        {selected ? `${selected.label} selected` : ""}
      </p>
      <p className="unseen" id="canvas-keys">
        Arrow keys go from node to node. Enter renames, Delete deletes. Plus and minus zoom, 0 shows
        all.
      </p>
    </aside>
  );
}
