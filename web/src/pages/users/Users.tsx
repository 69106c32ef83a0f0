import { useState } from "react";
import { changeUser, listUsers, makePasswordLink, type User } from "../../api/users";
import { ConfirmButton } from "../../forms/ConfirmButton";
import { Refusal } from "../../forms/FormFoot";
import { Listing, Row } from "../../forms/Listing";
import { ShownOnce } from "../../forms/ShownOnce";
import { useAction } from "../../forms/useAction";
import { useLoad } from "../../loading";
import { Panel } from "../../parts/Panel";
import { linkTo } from "../../routes";

interface PasswordLink {
  name: string;
  link: string;
}

/** All accounts: who may sign in, who looks after the installation. */
export function Users() {
  const [users, reload] = useLoad(listUsers);
  const [made, setMade] = useState<PasswordLink | null>(null);
  const { error, run } = useAction();
  const change = async (user: User, what: Parameters<typeof changeUser>[1]) => {
    if (await run(() => changeUser(user.id, what))) reload();
  };
  const makeLink = ({ id, name }: User) =>
    run(async () => {
      const { token } = await makePasswordLink(id);
      setMade({ name, link: linkTo(location.origin, "invitation", token) });
    });
  return (
    <Panel title="People" lead="New ones come by the invitation of a group.">
      <Refusal error={error} />
      {made && (
        <ShownOnce
          title={`The link by which ${made.name} chooses a password.`}
          value={made.link}
          done={() => setMade(null)}
        />
      )}
      <Listing
        items={users}
        none="There is nobody."
        retry={reload}
        row={(user) => (
          <UserRow
            key={user.id}
            user={user}
            change={(what) => change(user, what)}
            makeLink={() => makeLink(user)}
          />
        )}
      />
    </Panel>
  );
}

interface UserRowProps {
  user: User;
  change: (what: Parameters<typeof changeUser>[1]) => void;
  makeLink: () => void;
}

function UserRow({ user, change, makeLink }: UserRowProps) {
  const { name, username, role, is_active } = user;
  const title = (
    <>
      {name} {role === "admin" && <span className="badge">Installation admin</span>}{" "}
      {!is_active && <span className="badge">Disabled</span>}
    </>
  );
  return (
    <Row title={title} facts={username}>
      <button type="button" className="button" onClick={makeLink}>
        Password link<span className="unseen"> for {name}</span>
      </button>
      <RoleButton user={user} change={change} />
      {is_active ? (
        <ConfirmButton
          label="Disable"
          confirm="Really disable"
          about={name}
          act={() => change({ is_active: false })}
        />
      ) : (
        <button type="button" className="button" onClick={() => change({ is_active: true })}>
          Enable<span className="unseen"> {name}</span>
        </button>
      )}
    </Row>
  );
}

function RoleButton({ user, change }: Pick<UserRowProps, "user" | "change">) {
  const isAdmin = user.role === "admin";
  return (
    <ConfirmButton
      label={isAdmin ? "No longer admin" : "Make admin"}
      confirm={isAdmin ? "Really no longer admin" : "Really make admin"}
      about={user.name}
      act={() => change({ role: isAdmin ? "user" : "admin" })}
    />
  );
}
