import { useEffect, useRef } from "react";
import type { Box } from "../layout/arrange";
import type { View } from "./view";

const LABEL_LIMIT = 200;
const SMALLEST_WIDTH_PX = 140;

interface RenameFieldProps {
  box: Box;
  view: View;
  label: string;
  commit: (label: string) => void;
  close: () => void;
}

/** A text field over a node: Enter or leaving it keeps the name, Escape does not. */
export function RenameField({ box, view, label, commit, close }: RenameFieldProps) {
  const field = useRef<HTMLInputElement>(null);
  const given_up = useRef(false);
  useEffect(() => field.current?.select(), []);
  const leave = () => {
    if (!given_up.current) commit(field.current?.value.trim() ?? "");
    close();
  };
  return (
    <input
      ref={field}
      className="rename"
      aria-label={`New name for ${label}`}
      defaultValue={label}
      maxLength={LABEL_LIMIT}
      style={{
        left: box.x * view.scale + view.x,
        top: box.y * view.scale + view.y,
        width: Math.max(SMALLEST_WIDTH_PX, box.width * view.scale),
      }}
      onBlur={leave}
      onKeyDown={(event) => {
        given_up.current = event.key === "Escape";
        if (event.key === "Enter" || event.key === "Escape") field.current?.blur();
      }}
    />
  );
}
