import { PageFrame } from "../parts/PageFrame";
import { Groups } from "./users/Groups";
import { Users } from "./users/Users";

/** What an installation admin looks after. */
export function UsersPage() {
  return (
    <PageFrame title="People and groups">
      <div className="home-title">
        <h1>People and groups</h1>
      </div>
      <Users />
      <Groups />
    </PageFrame>
  );
}
