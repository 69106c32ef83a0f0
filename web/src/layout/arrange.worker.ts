/** Arranging takes up to a second for a large graph, so it does not happen where people type. */
import { arrange, type LayoutInput } from "./arrange";

self.onmessage = (message: MessageEvent<LayoutInput>) => {
  self.postMessage(arrange(message.data));
};
