import { useMe } from "../session/useWho";
import { GroupsHome } from "./GroupsHome";
import { OpenHome } from "./OpenHome";

export function HomePage() {
  return useMe().credential === "open" ? <OpenHome /> : <GroupsHome />;
}
