import { createContext, useContext, useEffect } from "react";
import type { Me } from "../api/account";
import { useStore } from "../store";
import { askOnce } from "./session";
import { type Who, who } from "./who";

/** Who uses this page; the server is asked when the first component wants to know. */
export function useWho(): Who {
  useEffect(askOnce, []);
  return useStore(who);
}

const SignedIn = createContext<Me | null>(null);

export const SignedInProvider = SignedIn.Provider;

/** Who is signed in, or was until a moment ago; only below the gate that asks for it. */
export function useMe(): Me {
  return useContext(SignedIn) as Me;
}
