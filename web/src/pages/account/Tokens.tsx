import { useState } from "react";
import { type AccessToken, listTokens, revokeToken } from "../../api/account";
import { ConfirmButton } from "../../forms/ConfirmButton";
import { Refusal } from "../../forms/FormFoot";
import { Listing, Row } from "../../forms/Listing";
import { ShownOnce } from "../../forms/ShownOnce";
import { useAction } from "../../forms/useAction";
import { useLoad } from "../../loading";
import { Panel } from "../../parts/Panel";
import { Ago, Until } from "../../parts/times";
import { NewTokenForm } from "./NewTokenForm";

/** Tokens with which scripts and agents act as oneself. */
export function Tokens() {
  const [tokens, reload] = useLoad(listTokens);
  const [made, setMade] = useState<string | null>(null);
  const { error, run } = useAction();
  const revoke = async (id: string) => {
    if (await run(() => revokeToken(id))) reload();
  };
  const created = (token: string) => {
    setMade(token);
    reload();
  };
  return (
    <Panel
      title="Access tokens"
      lead="For scripts and agents that act as you, within their scopes."
    >
      <Listing
        items={tokens}
        none="You have no access tokens."
        retry={reload}
        row={(token) => <TokenRow key={token.id} token={token} revoke={() => revoke(token.id)} />}
      />
      <Refusal error={error} />
      {made === null ? (
        <NewTokenForm created={created} />
      ) : (
        <ShownOnce title="Your new access token." value={made} done={() => setMade(null)} />
      )}
    </Panel>
  );
}

function TokenRow({ token, revoke }: { token: AccessToken; revoke: () => void }) {
  const facts = (
    <>
      {token.scopes.join(", ")}; <Until at={token.expires_at} />;{" "}
      {token.last_used_at ? (
        <>
          used <Ago at={token.last_used_at} />
        </>
      ) : (
        "never used"
      )}
    </>
  );
  return (
    <Row title={token.name} facts={facts}>
      <ConfirmButton label="Revoke" confirm="Really revoke" about={token.name} act={revoke} />
    </Row>
  );
}
