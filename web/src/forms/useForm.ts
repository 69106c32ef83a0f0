import type { FormEvent } from "react";
import { type Action, useAction } from "./useAction";

export interface Values {
  text: (name: string) => string;
  /** What is ticked of the boxes of this name. */
  ticked: (name: string) => string[];
}

interface Form extends Omit<Action, "run"> {
  onSubmit: (event: FormEvent<HTMLFormElement>) => void;
}

/** A form whose fields keep their own values; `submit` throws what to say below them. */
export function useForm(
  submit: (values: Values) => Promise<unknown>,
  words?: (error: Error) => string,
): Form {
  const { busy, error, run } = useAction(words);
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const text = (name: string) => String(data.get(name) ?? "");
    const ticked = (name: string) => data.getAll(name).map(String);
    void run(() => submit({ text, ticked }));
  };
  return { busy, error, onSubmit };
}
