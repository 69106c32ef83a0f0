import { endOtherSessions, endSession, listSessions, type Session } from "../../api/account";
import { ConfirmButton } from "../../forms/ConfirmButton";
import { Refusal } from "../../forms/FormFoot";
import { Listing, Row } from "../../forms/Listing";
import { useAction } from "../../forms/useAction";
import { useLoad } from "../../loading";
import { Panel } from "../../parts/Panel";
import { Ago } from "../../parts/times";
import { deviceOf } from "../../session/device";

/** Where one is signed in; what is ended here is signed out there at once. */
export function Sessions() {
  const [sessions, reload] = useLoad(listSessions);
  const { error, run } = useAction();
  const end = async (act: () => Promise<void>) => {
    if (await run(act)) reload();
  };
  const others = sessions.state === "ready" && sessions.value.some((one) => !one.is_current);
  return (
    <Panel title="Sessions" lead="Where you are signed in.">
      <Listing
        items={sessions}
        none="You have no sessions."
        retry={reload}
        row={(session) => (
          <SessionRow
            key={session.id}
            session={session}
            end={() => end(() => endSession(session.id))}
          />
        )}
      />
      <Refusal error={error} />
      {others && (
        <ConfirmButton
          label="End all others"
          confirm="Really end all others"
          about=""
          act={() => end(endOtherSessions)}
        />
      )}
    </Panel>
  );
}

function SessionRow({ session, end }: { session: Session; end: () => void }) {
  const device = session.device ?? deviceOf(session.user_agent);
  const facts = (
    <>
      {session.address && `${session.address}, `}used <Ago at={session.last_used_at} />
    </>
  );
  return (
    <Row title={device} facts={facts}>
      {session.is_current ? (
        <span className="badge">This device</span>
      ) : (
        <ConfirmButton label="End" confirm="Really end" about={`the session ${device}`} act={end} />
      )}
    </Row>
  );
}
