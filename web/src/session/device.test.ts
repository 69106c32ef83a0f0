import { expect, test } from "vitest";
import { deviceOf } from "./device";

const MOZILLA = "Mozilla/5.0";
const SAFARI = "Version/18.0 Safari/605.1.15";

test.each([
  [`${MOZILLA} (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0`, "Firefox on Linux"],
  [`${MOZILLA} (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537.36`, "Chrome on Windows"],
  [`${MOZILLA} (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0`, "Edge on Windows"],
  [`${MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) ${SAFARI}`, "Safari on macOS"],
  [`${MOZILLA} (iPhone; CPU iPhone OS 18_0 like Mac OS X) ${SAFARI}`, "Safari on iOS"],
  [`${MOZILLA} (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36`, "Chrome on Android"],
  [`${MOZILLA} (X11; Linux x86_64) HeadlessChrome/140.0 Safari/537.36`, "Chrome on Linux"],
  ["python-httpx/0.28.1", "python-httpx"],
  ["", "Unknown device"],
  [null, "Unknown device"],
])("WEB-17: a session of %s is of %s", (agent, words) => expect(deviceOf(agent)).toBe(words));
