import type { GraphRole } from "../api/sharing";
import { ROLE_WORDS } from "../words";

interface RolePickerProps<R extends GraphRole> {
  about: string;
  roles: readonly R[];
  role: R;
  busy: boolean;
  pick: (role: R) => void;
}

/** The role of one person, changed as soon as another one is picked. */
export function RolePicker<R extends GraphRole>(props: RolePickerProps<R>) {
  return (
    <select
      aria-label={`Role of ${props.about}`}
      value={props.role}
      disabled={props.busy}
      onChange={(event) => props.pick(event.target.value as R)}
    >
      {props.roles.map((role) => (
        <option key={role} value={role} title={ROLE_WORDS[role].means}>
          {ROLE_WORDS[role].name}
        </option>
      ))}
    </select>
  );
}

export const ROLES = ["admin", "member", "viewer"] as const;

export function rolesWithMeaning(roles: readonly GraphRole[]): [string, string][] {
  return roles.map((role) => [role, `${ROLE_WORDS[role].name}: ${ROLE_WORDS[role].means}`]);
}
