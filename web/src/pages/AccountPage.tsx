import { PageFrame } from "../parts/PageFrame";
import { PasswordForm } from "./account/PasswordForm";
import { ProfileForm } from "./account/ProfileForm";
import { Sessions } from "./account/Sessions";
import { Tokens } from "./account/Tokens";

export function AccountPage() {
  return (
    <PageFrame title="Account">
      <div className="home-title">
        <h1>Account</h1>
      </div>
      <ProfileForm />
      <PasswordForm />
      <Sessions />
      <Tokens />
    </PageFrame>
  );
}
