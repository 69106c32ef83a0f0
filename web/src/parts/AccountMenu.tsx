import { useCallback, useRef, useState } from "react";
import { Refusal } from "../forms/FormFoot";
import { useAction } from "../forms/useAction";
import { initials } from "../identity";
import { ACCOUNT_HREF, HOME_HREF, USERS_HREF } from "../routes";
import { signOut } from "../session/session";
import { useMe } from "../session/useWho";
import { useIdentity } from "../useIdentity";
import { tint } from "./tint";
import { useDismiss } from "./useDismiss";

/** The own avatar, and behind it what concerns oneself. */
export function AccountMenu() {
  const { name } = useMe();
  const [{ color }] = useIdentity();
  const [open, setOpen] = useState(false);
  const frame = useRef<HTMLDivElement>(null);
  const close = useCallback(() => setOpen(false), []);
  useDismiss(frame, close);
  return (
    <div className="account-menu" ref={frame}>
      <button
        type="button"
        className="avatar own"
        title={name}
        aria-label={`Account of ${name}`}
        aria-expanded={open}
        style={tint(color)}
        onClick={() => setOpen(!open)}
      >
        {initials(name)}
      </button>
      {open && <Choices close={close} />}
    </div>
  );
}

function Choices({ close }: { close: () => void }) {
  const { name, username, is_admin } = useMe();
  const { busy, error, run } = useAction();
  const leave = async () => {
    if (await run(signOut)) location.replace(HOME_HREF);
  };
  return (
    <div className="popover menu">
      <p className="menu-name">
        {name}
        <span className="quiet">{username}</span>
      </p>
      <a href={ACCOUNT_HREF} onClick={close}>
        Account
      </a>
      {is_admin && (
        <a href={USERS_HREF} onClick={close}>
          People and groups
        </a>
      )}
      <button type="button" disabled={busy} onClick={leave}>
        Sign out
      </button>
      <Refusal error={error} />
    </div>
  );
}
