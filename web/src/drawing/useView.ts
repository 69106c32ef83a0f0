import { type RefObject, useCallback, useEffect, useMemo, useState } from "react";
import type { Point } from "../graph/scene";
import type { Box, Size } from "../layout/arrange";
import { fitted, revealing, toScene, type View, zoomed } from "./view";

const WHEEL_ZOOM = 0.0015;
const WIDE_PX = 760;
const SIDE_PANEL_PX = 258;

export interface ViewControl {
  view: View;
  set: (change: (view: View) => View) => void;
  zoom: (factor: number) => void;
  fit: (bounds: Box) => void;
  reveal: (box: Box) => void;
  /** The scene point in the middle of the screen. */
  centre: () => Point;
}

/** Pan and zoom of the drawing in `frame`; the wheel zooms at the pointer. */
export function useView(frame: RefObject<HTMLElement | null>): ViewControl {
  const [view, set] = useState<View>({ x: 0, y: 0, scale: 1 });
  useWheel(frame, set);
  const size = useCallback(() => sizeOf(frame.current), [frame]);
  const actions = useMemo(() => {
    const middle = () => ({ x: size().width / 2, y: size().height / 2 });
    return {
      set,
      zoom: (factor: number) => set((old) => zoomed(old, middle(), factor)),
      fit: (bounds: Box) => set(fitted(bounds, roomIn(size()))),
      reveal: (box: Box) => set((old) => revealing(old, box, size())),
      middle,
    };
  }, [size]);
  return { view, ...actions, centre: () => toScene(view, actions.middle()) };
}

/** React listens to the wheel passively, which cannot keep the page from zooming. */
function useWheel(
  frame: RefObject<HTMLElement | null>,
  set: (change: (view: View) => View) => void,
): void {
  useEffect(() => {
    const element = frame.current;
    const turn = (event: WheelEvent) => {
      event.preventDefault();
      const at = pointIn(element as HTMLElement, event);
      set((view) => zoomed(view, at, Math.exp(-event.deltaY * WHEEL_ZOOM)));
    };
    element?.addEventListener("wheel", turn, { passive: false });
    return () => element?.removeEventListener("wheel", turn);
  }, [frame, set]);
}

export function pointIn(element: Element, event: { clientX: number; clientY: number }): Point {
  const { left, top } = element.getBoundingClientRect();
  return { x: event.clientX - left, y: event.clientY - top };
}

/** The part of the drawing that the panel at its right does not cover. */
function roomIn({ width, height }: Size): Size {
  return { width: width >= WIDE_PX ? width - SIDE_PANEL_PX : width, height };
}

function sizeOf(element: HTMLElement | null): Size {
  return { width: element?.clientWidth ?? 0, height: element?.clientHeight ?? 0 };
}
