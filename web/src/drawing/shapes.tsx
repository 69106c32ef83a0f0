import { type CSSProperties, memo } from "react";
import { extremes } from "../graph/colour";
import type { SceneLayer } from "../graph/scene";
import type { Box } from "../layout/arrange";
import { shortened } from "../layout/sizes";

interface Shape extends Box {
  id: string;
  label: string;
  layer: SceneLayer | undefined;
  selected: boolean;
  /** Neither selected nor next to what is. */
  dim: boolean;
  /** Colour of someone else who has it selected. */
  watcher: string | undefined;
}

/** Colours of a layer as CSS variables; the stylesheet has what a layer leaves open. */
export function layerStyle(layer: SceneLayer | undefined): CSSProperties {
  const titles = layer ? extremes([layer.background, layer.text, layer.border]) : null;
  return {
    ...(titles && { "--title-dark": titles[0], "--title-light": titles[1] }),
    ...(layer?.background && { "--fill": layer.background }),
    ...(layer?.text && { "--ink": layer.text }),
    ...(layer?.border && { "--line": layer.border }),
  } as CSSProperties;
}

export const NodeShape = memo(function NodeShape(shape: Shape) {
  const { id, label, x, y, width, height, layer, selected, dim, watcher } = shape;
  return (
    <g
      className="node"
      data-node={id}
      data-selected={selected || undefined}
      data-dim={dim || undefined}
      transform={`translate(${x} ${y})`}
      style={layerStyle(layer)}
    >
      <title>{layer ? `${label} (${layer.name})` : label}</title>
      <Halo width={width} height={height} color={watcher} />
      <rect className="node-box" width={width} height={height} rx={9} />
      <text className="node-label" x={width / 2} y={height / 2}>
        {shortened(label)}
      </text>
    </g>
  );
});

export const ContainerShape = memo(function ContainerShape(shape: Shape) {
  const { id, label, x, y, width, height, layer, selected, dim, watcher } = shape;
  return (
    <g
      className="container"
      data-node={id}
      data-selected={selected || undefined}
      data-dim={dim || undefined}
      transform={`translate(${x} ${y})`}
      style={layerStyle(layer)}
    >
      <title>{layer ? `${label} (${layer.name})` : label}</title>
      <Halo width={width} height={height} color={watcher} />
      <rect className="container-box" width={width} height={height} rx={14} />
      <text className="container-label" x={16} y={22}>
        {shortened(label)}
      </text>
    </g>
  );
});

function Halo({
  width,
  height,
  color,
}: {
  width: number;
  height: number;
  color: string | undefined;
}) {
  if (color === undefined) return null;
  return (
    <rect
      className="halo"
      x={-5}
      y={-5}
      width={width + 10}
      height={height + 10}
      rx={13}
      stroke={color}
    />
  );
}

interface EdgeProps {
  path: string;
  head: string;
  labelX: number;
  labelY: number;
  label: string;
  layer: SceneLayer | undefined;
  lit: boolean;
  dim: boolean;
}

export const EdgeShape = memo(function EdgeShape(edge: EdgeProps) {
  return (
    <g
      className="edge"
      data-lit={edge.lit || undefined}
      data-dim={edge.dim || undefined}
      style={layerStyle(edge.layer)}
    >
      {edge.label && <title>{edge.label}</title>}
      <path className="edge-reach" d={edge.path} />
      <path className="edge-line" d={edge.path} />
      <polygon className="edge-head" points={edge.head} />
      {edge.label && (
        <text className="edge-label" x={edge.labelX} y={edge.labelY}>
          {shortened(edge.label)}
        </text>
      )}
    </g>
  );
});
