import { useEffect, useMemo, useRef, useState } from "react";
import type { Scene } from "../graph/scene";
import type { Box, LayoutInput } from "./arrange";
import { sizeOfLabel } from "./sizes";

const SETTLE_MS = 150;

export type Arrangement = ReadonlyMap<string, Box>;

/**
 * Arrange the scene in a worker: at once at first, then when its structure has been still for
 * 150 ms. Null until the first nodes are arranged. Moves and colours do not rearrange.
 */
export function useArrangement(scene: Scene): Arrangement | null {
  const [arrangement, setArrangement] = useState<Arrangement | null>(null);
  const arranger = useRef<Arranger | null>(null);
  const structure = useMemo(() => JSON.stringify(layoutInput(scene)), [scene]);
  useEffect(() => {
    const started = new Arranger(setArrangement);
    arranger.current = started;
    return () => started.stop();
  }, []);
  useEffect(() => {
    const ask = () => arranger.current?.ask(structure);
    const timer = setTimeout(ask, arranger.current?.isFresh ? 0 : SETTLE_MS);
    return () => clearTimeout(timer);
  }, [structure]);
  return arrangement;
}

/** One worker that is asked one thing at a time; only the newest question waits. */
class Arranger {
  readonly #worker = new Worker(new URL("./arrange.worker.ts", import.meta.url), {
    type: "module",
  });
  #busy = false;
  #waiting: string | null = null;
  isFresh = true;

  constructor(answer: (arrangement: Arrangement) => void) {
    this.#worker.onmessage = (message: MessageEvent<Arrangement>) => {
      this.#busy = false;
      const waiting = this.#waiting;
      this.#waiting = null;
      if (waiting !== null) this.ask(waiting);
      answer(message.data);
    };
  }

  ask(structure: string): void {
    const input = JSON.parse(structure) as LayoutInput;
    if (this.isFresh && input.nodes.length === 0) return;
    if (this.#busy) {
      this.#waiting = structure;
      return;
    }
    this.#busy = true;
    this.isFresh = false;
    this.#worker.postMessage(input);
  }

  stop(): void {
    this.#worker.terminate();
  }
}

function layoutInput(scene: Scene): LayoutInput {
  const nodes = [...scene.nodes.values()].map(({ id, isPartition, parent, label }) => {
    return { id, isPartition, parent, ...sizeOfLabel(label) };
  });
  const edges = [...scene.edges.values()]
    .filter(({ source, target }) => scene.nodes.has(source) && scene.nodes.has(target))
    .map(({ source, target }) => ({ source, target }));
  return { nodes, edges };
}
