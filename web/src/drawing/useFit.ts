import { useEffect, useMemo, useRef } from "react";
import type { Box } from "../layout/arrange";
import type { ViewControl } from "./useView";
import { boundsOf } from "./view";

/** Fit everything once, as soon as there is something, and whenever asked. */
export function useFit(control: ViewControl, boxes: ReadonlyMap<string, Box>): () => void {
  const bounds = useMemo(() => boundsOf(boxes.values()), [boxes]);
  const done = useRef(false);
  const fit = () => bounds && control.fit(bounds);
  useEffect(() => {
    if (bounds && !done.current) {
      control.fit(bounds);
      done.current = true;
    }
  });
  return fit;
}
