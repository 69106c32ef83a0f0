import { type CSSProperties, type MouseEvent, useEffect, useRef } from "react";
import type { Scene } from "../graph/scene";
import type { Box } from "../layout/arrange";
import { Drawing } from "./Drawing";
import { onKey } from "./keys";
import { RenameField } from "./RenameField";
import { useFit } from "./useFit";
import { type GestureTarget, nodeAt, useGestures } from "./useGestures";
import { useView, type ViewControl } from "./useView";
import { ZoomBar } from "./ZoomBar";

export interface CanvasActions {
  rename: (nodeId: string, label: string) => void;
  remove: (nodeId: string) => void;
  setRenaming: (nodeId: string | null) => void;
}

export interface CanvasProps {
  scene: Scene;
  boxes: ReadonlyMap<string, Box>;
  selected: string | null;
  renaming: string | null;
  watchers: ReadonlyMap<string, string>;
  target: GestureTarget;
  actions: CanvasActions;
  /** Receives a function that tells the scene point in the middle of the screen. */
  onView: (centre: ViewControl["centre"]) => void;
}

/** Far out or among too many, edge labels would be noise; those of a selected node are shown. */
const DETAIL_SCALE = 0.8;
const MOST_LABELS = 150;
/** Container titles grow when far out, as far as the room above the children allows. */
const READABLE_SCALE = 0.62;
const LARGEST_BOOST = 2.4;

export function Canvas(props: CanvasProps) {
  const { scene, boxes, selected, target, actions } = props;
  const frame = useRef<HTMLDivElement>(null);
  const control = useView(frame);
  const { view } = control;
  const gestures = useGestures(control, target);
  const fit = useFit(control, boxes);
  const { onView } = props;
  useEffect(() => onView(control.centre));
  const rename = (event: MouseEvent) => {
    // The drawing has captured the pointer, so the event names the drawing as its target.
    const nodeId = nodeAt(document.elementFromPoint(event.clientX, event.clientY));
    if (nodeId !== null && target.editable) actions.setRenaming(nodeId);
  };
  return (
    <div className="canvas" ref={frame}>
      <svg
        className="drawing"
        role="application"
        aria-label={`Graph drawing, ${scene.nodes.size} nodes, ${scene.edges.size} edges`}
        aria-describedby="canvas-keys"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it takes keys, see its description
        tabIndex={0}
        data-near={(view.scale >= DETAIL_SCALE && scene.edges.size <= MOST_LABELS) || undefined}
        style={{ "--boost": boost(view.scale) } as CSSProperties}
        onDoubleClick={rename}
        onKeyDown={(event) => onKey(event, props, control, fit)}
        {...gestures}
      >
        <title>Graph drawing</title>
        <Dots view={view} />
        <g transform={`translate(${view.x} ${view.y}) scale(${view.scale})`}>
          <Drawing scene={scene} boxes={boxes} selected={selected} watchers={props.watchers} />
        </g>
      </svg>
      <RenameLayer {...props} control={control} frame={frame.current} />
      <ZoomBar scale={view.scale} zoom={control.zoom} fit={fit} />
    </div>
  );
}

function RenameLayer(props: CanvasProps & { control: ViewControl; frame: HTMLElement | null }) {
  const { scene, boxes, renaming, control, actions } = props;
  const node = scene.nodes.get(renaming ?? "");
  const box = boxes.get(renaming ?? "");
  if (!node || !box) return null;
  const close = () => {
    actions.setRenaming(null);
    props.frame?.querySelector("svg")?.focus();
  };
  const commit = (label: string) => {
    if (label !== "" && label !== node.label) actions.rename(node.id, label);
  };
  return (
    <RenameField
      key={node.id}
      box={box}
      view={control.view}
      label={node.label}
      commit={commit}
      close={close}
    />
  );
}

function boost(scale: number): number {
  return Math.min(LARGEST_BOOST, Math.max(1, READABLE_SCALE / scale));
}

/** A grid that moves with the drawing, so that panning over empty space can be seen. */
function Dots({ view }: { view: ViewControl["view"] }) {
  const gap = 24 * view.scale * 2 ** Math.max(0, Math.ceil(-Math.log2(view.scale)));
  return (
    <>
      <pattern
        id="dots"
        x={view.x}
        y={view.y}
        width={gap}
        height={gap}
        patternUnits="userSpaceOnUse"
      >
        <circle className="dot" cx={1} cy={1} r={1} />
      </pattern>
      <rect width="100%" height="100%" fill="url(#dots)" />
    </>
  );
}
