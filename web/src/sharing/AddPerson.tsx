import { listGroups, listMembers, type Member } from "../api/groups";
import type { Access, GraphRole } from "../api/sharing";
import { Choice } from "../forms/Choice";
import { ROLES, rolesWithMeaning } from "../forms/RolePicker";
import { useForm } from "../forms/useForm";
import { useLoad } from "../loading";

interface AddPersonProps {
  /** Who is listed already. */
  known: Access[];
  busy: boolean;
  add: (userId: string, role: GraphRole) => Promise<void>;
}

/** Let somebody of another group of one's own in; there is nothing to see if there is nobody. */
export function AddPerson({ known, busy, add }: AddPersonProps) {
  const [members] = useLoad(listAcquaintances);
  const { onSubmit } = useForm(({ text }) => add(text("person"), text("role") as GraphRole));
  const others = members.state === "ready" ? without(known, members.value) : [];
  if (others.length === 0) return null;
  return (
    <form className="form inline" onSubmit={onSubmit}>
      <Choice
        label="Somebody of another group"
        name="person"
        options={others.map(({ user_id, name }) => [user_id, name])}
      />
      <Choice label="Role" name="role" defaultValue="viewer" options={rolesWithMeaning(ROLES)} />
      <button type="submit" className="button" disabled={busy}>
        Add
      </button>
    </form>
  );
}

/** The members of all groups that one is in. */
async function listAcquaintances(signal: AbortSignal): Promise<Member[]> {
  const own = (await listGroups(signal)).filter(({ role }) => role !== null);
  return (await Promise.all(own.map(({ id }) => listMembers(id, signal)))).flat();
}

/** Each of the members once, and none that is known. */
function without(known: Access[], members: Member[]): Member[] {
  const listed = new Set(known.map(({ user_id }) => user_id));
  const others = members.filter(({ user_id, is_active }) => is_active && !listed.has(user_id));
  return [...new Map(others.map((member) => [member.user_id, member])).values()];
}
