import { readdirSync } from "node:fs";

import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

const features = readdirSync(`${import.meta.dirname}/src/features`);

const forbid = (patterns) => ({
  "no-restricted-imports": ["error", { patterns: [{ group: ["../*"], message: "Write @/… instead." }, ...patterns] }],
});

// Imports go one way: config, lib and components → features → app. A feature never imports another.
const zones = [
  {
    files: ["src/{lib,config,components}/**"],
    rules: forbid([{ group: ["@/features/*", "@/app/*"], message: "Shared code knows neither features nor the app." }]),
  },
  ...features.map((feature) => ({
    files: [`src/features/${feature}/**`],
    rules: forbid([
      { group: ["@/app/*"], message: "Features do not know the app." },
      { regex: `^@/features/(?!${feature}/)`, message: "Features do not know each other; join them in app/routes." },
    ]),
  })),
  { files: ["src/app/**"], rules: forbid([]) },
];

export default defineConfig([
  globalIgnores(["dist", ".types"]),
  js.configs.recommended,
  {
    files: ["**/*.{ts,tsx}"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked, reactHooks.configs.flat.recommended],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // `({ view: _, ...rest }) => rest` is how a key is left out.
      "@typescript-eslint/no-unused-vars": ["error", { ignoreRestSiblings: true }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    },
  },
  ...zones,
]);
