/** Message 102 of the sync protocol: the server echoes its bytes once all before it is committed. */
import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import type { Receipt } from "../saved";

export const DURABLE = 102;

export function encodeReceipt(receipt: Receipt): Uint8Array<ArrayBuffer> {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, DURABLE);
  encoding.writeVarUint(encoder, receipt.connection);
  encoding.writeVarUint(encoder, receipt.edits);
  return encoding.toUint8Array(encoder);
}

/** Read what follows the message type. */
export function decodeReceipt(decoder: decoding.Decoder): Receipt {
  const connection = decoding.readVarUint(decoder);
  return { connection, edits: decoding.readVarUint(decoder) };
}
