import { memo, useMemo } from "react";
import type { Scene, SceneNode } from "../graph/scene";
import type { Box } from "../layout/arrange";
import { lanesOf, lineBetween } from "./edges";
import { ContainerShape, EdgeShape, NodeShape } from "./shapes";

interface DrawingProps {
  scene: Scene;
  boxes: ReadonlyMap<string, Box>;
  selected: string | null;
  watchers: ReadonlyMap<string, string>;
}

/** Containers, then edges, then nodes: what matters most is on top. */
export const Drawing = memo(function Drawing(props: DrawingProps) {
  const { scene, boxes, selected } = props;
  const near = useMemo(() => neighbourhood(scene, selected), [scene, selected]);
  const shape = (id: string, box: Box) => {
    const node = scene.nodes.get(id) as SceneNode;
    const Kind = node.isPartition ? ContainerShape : NodeShape;
    return (
      <Kind
        key={id}
        id={id}
        label={node.label}
        layer={scene.layers.get(node.layer ?? "")}
        selected={id === selected}
        dim={near !== null && Kind === NodeShape && !near.has(id)}
        watcher={props.watchers.get(id)}
        {...box}
      />
    );
  };
  const drawn = [...boxes].filter(([id]) => scene.nodes.has(id));
  const contains = ([id]: [string, Box]) => scene.nodes.get(id)?.isPartition;
  return (
    <>
      {drawn.filter(contains).map(([id, box]) => shape(id, box))}
      <Edges scene={scene} boxes={boxes} selected={near && selected} />
      {drawn.filter((entry) => !contains(entry)).map(([id, box]) => shape(id, box))}
    </>
  );
});

interface EdgesProps {
  scene: Scene;
  boxes: ReadonlyMap<string, Box>;
  selected: string | null;
}

function Edges({ scene, boxes, selected }: EdgesProps) {
  const lanes = useMemo(() => lanesOf(scene.edges.values()), [scene.edges]);
  return [...scene.edges.values()].map(({ id, source, target, label, layer }) => {
    const from = boxes.get(source);
    const to = boxes.get(target);
    if (!from || !to) return null;
    const { path, head, middle } = lineBetween(from, to, lanes.get(id) ?? 0);
    const lit = selected !== null && (source === selected || target === selected);
    return (
      <EdgeShape
        key={id}
        path={path}
        head={head}
        labelX={middle.x}
        labelY={middle.y}
        label={label}
        layer={scene.layers.get(layer ?? "")}
        lit={lit}
        dim={selected !== null && !lit}
      />
    );
  });
}

/** A selected node and those it has an edge with; null when nothing is to be set off. */
function neighbourhood(scene: Scene, selected: string | null): Set<string> | null {
  if (selected === null) return null;
  const near = new Set<string>();
  for (const { source, target } of scene.edges.values()) {
    if (source === selected) near.add(target);
    if (target === selected) near.add(source);
  }
  return near.size > 0 ? near.add(selected) : null;
}
