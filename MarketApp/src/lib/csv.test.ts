import { expect, it } from "vitest";

import { toCsv } from "@/lib/csv";

it("quotes what would break a line", () => {
  expect(toCsv(["a", "b"], [['say "hi"', "x,y"]])).toBe('a,b\r\n"say ""hi""","x,y"\r\n');
});

it("defuses texts that a spreadsheet would run, but not negative numbers", () => {
  expect(toCsv(["a", "b"], [["=1+1", -3]])).toBe("a,b\r\n'=1+1,-3\r\n");
});

it("leaves what is missing empty", () => expect(toCsv(["a", "b"], [[null, undefined]])).toBe("a,b\r\n,\r\n"));
