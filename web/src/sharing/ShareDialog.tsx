import { useEffect, useRef } from "react";
import type { GraphHead } from "../api/catalogue";
import { PeopleWithAccess } from "./PeopleWithAccess";
import { ShareLinks } from "./ShareLinks";

/** Who may open the graph, for its admins to decide. */
export function ShareDialog({ graph, close }: { graph: GraphHead; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="dialog" aria-label={`Share ${graph.name}`} onClose={close}>
      <div className="dialog-head">
        <h2>Share “{graph.name}”</h2>
        <button type="button" className="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
      <PeopleWithAccess graphId={graph.id} />
      <ShareLinks graphId={graph.id} />
    </dialog>
  );
}
