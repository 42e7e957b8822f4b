import { findSecrets } from "../../redact.js";
import type { GateRule } from "./subject.js";

/** Keys, tokens and passwords in any text file of the skill. The finding names the kind, never the secret. */
export const secrets: GateRule = ({ texts }) =>
  texts.flatMap(({ file, text }) =>
    findSecrets(text).map(({ line, kind }) => ({
      rule: "secrets",
      severity: "error" as const,
      file,
      line,
      message: `this line holds a secret (${kind}): read it from the environment instead`,
    })),
  );
