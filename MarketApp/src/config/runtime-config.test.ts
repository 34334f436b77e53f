import { expect, it } from "vitest";

import { parseConfig } from "@/config/runtime-config";

it("needs no more than the gateway's address", () => {
  expect(parseConfig({ apiBase: "http://127.0.0.1:8000/" })).toEqual({
    apiBase: "http://127.0.0.1:8000",
    currency: "UAH",
    locale: "en-GB",
  });
});

it.each([
  [{ apiBase: "javascript:alert(1)" }, "apiBase"],
  [{ currency: "hryvnia" }, "currency"],
  [{ locale: "no such tag" }, "locale"],
  ["text", "object"],
])("refuses %j and names what is wrong", (given, name) => expect(() => parseConfig(given)).toThrow(name));
