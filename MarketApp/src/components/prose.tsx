import { Fragment } from "react";

/** A text of the gateway's: what stands between `backticks` is a command. */
export function Prose({ text }: { text: string }) {
  return text.split("`").map((part, index) => (
    <Fragment key={index}>{index % 2 === 1 ? <code>{part}</code> : part}</Fragment>
  ));
}
