import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { addNode, deleteNode, newNodeId, renameNode } from "../graph/edit";
import { hierarchyOf } from "../graph/hierarchy";
import type { Point, Scene, SceneNode } from "../graph/scene";
import type { Box } from "../layout/arrange";
import { sizeOfLabel } from "../layout/sizes";
import { type Arrangement, useArrangement } from "../layout/useArrangement";
import type { LiveGraph } from "../live/LiveGraph";
import { selectionsOf } from "../live/presence";
import { Notice } from "../parts/Notice";
import { SidePanel } from "../parts/SidePanel";
import { useStore } from "../store";
import { boxesOf } from "./boxes";
import { Canvas } from "./Canvas";
import { useDrag } from "./useDrag";

const NEW_LABEL = "New node";
const NOT_ARRANGED: Arrangement = new Map();

interface LiveBoardProps {
  live: LiveGraph;
  editable: boolean;
}

/** The drawing of a live graph with what can be done to it. */
export function LiveBoard({ live, editable }: LiveBoardProps) {
  const scene = useStore(live.scene);
  const watchers = useWatchers(live);
  const [selected, select] = useSelection(live, scene);
  const [renaming, setRenaming] = useState<string | null>(null);
  const { boxes, drag, arranged } = useBoxes(live, scene, editable);
  const centre = useRef<() => Point>(() => ({ x: 0, y: 0 }));
  const onView = useCallback((current: () => Point) => {
    centre.current = current;
  }, []);
  const remove = (nodeId: string) => deleteNode(live.doc, nodeId);
  const rename = (nodeId: string, label: string) => renameNode(live.doc, nodeId, label);
  const add = () => {
    const id = newNodeId();
    addNode(live.doc, id, beside(selected, centre.current()));
    select(id);
    setRenaming(id);
  };
  return (
    <main className="board">
      <Canvas
        scene={scene}
        boxes={boxes}
        selected={selected?.id ?? null}
        renaming={editable ? renaming : null}
        watchers={watchers}
        target={{ editable, select, drag }}
        actions={{ rename, remove, setRenaming }}
        onView={onView}
      />
      <BoardState live={live} arranged={arranged} />
      <SidePanel
        scene={scene}
        selected={selected}
        editable={editable}
        add={add}
        rename={setRenaming}
        remove={remove}
      />
    </main>
  );
}

/** What to say while there is nothing to see. */
function BoardState({ live, arranged }: { live: LiveGraph; arranged: boolean }) {
  const arrived = useStore(live.arrived);
  const isEmpty = useStore(live.scene).nodes.size === 0;
  if (!arrived) return <p className="board-state loading">Getting the graph…</p>;
  if (!isEmpty) return arranged ? null : <p className="board-state loading">Arranging…</p>;
  return (
    <div className="board-state">
      <Notice title="An empty graph" advice="Add the first node to begin." />
    </div>
  );
}

function useBoxes(live: LiveGraph, scene: Scene, editable: boolean) {
  const arrangement = useArrangement(scene);
  const hierarchy = useMemo(() => hierarchyOf(scene.nodes), [scene.nodes]);
  const current = useRef<ReadonlyMap<string, Box>>(new Map());
  const { places, drag } = useDrag(live, hierarchy, current, editable);
  const boxes = useMemo(
    () => (arrangement ? boxesOf(scene, hierarchy, arrangement, places) : NOT_ARRANGED),
    [scene, hierarchy, arrangement, places],
  );
  useEffect(() => {
    current.current = boxes;
  }, [boxes]);
  return { boxes, drag, arranged: arrangement !== null };
}

/** The selected node, if it still exists, and how to select; others are shown it. */
function useSelection(
  live: LiveGraph,
  scene: Scene,
): [SceneNode | null, (nodeId: string | null) => void] {
  const [id, setId] = useState<string | null>(null);
  useEffect(() => live.setSelection(id), [live, id]);
  return [scene.nodes.get(id ?? "") ?? null, setId];
}

function useWatchers(live: LiveGraph): ReadonlyMap<string, string> {
  const people = useStore(live.people);
  return useMemo(() => selectionsOf(people), [people]);
}

/** A new node in the middle of the screen, in the layer and container of what is selected. */
function beside(selected: SceneNode | null, centre: Point) {
  const { width, height } = sizeOfLabel(NEW_LABEL);
  return {
    label: NEW_LABEL,
    layer: selected?.layer ?? null,
    parent: selected?.isPartition ? selected.id : (selected?.parent ?? null),
    position: { x: Math.round(centre.x - width / 2), y: Math.round(centre.y - height / 2) },
  };
}
