import type Docker from "dockerode";
import type { DockerSandbox } from "./docker-container.js";
import { createPristine } from "./docker-judge-pristine.js";
import { protect } from "./docker-judge-protected.js";
import type { FileChange, ImageRef } from "./sandbox.js";

/**
 * Which changes of a shared container touch what judges (`--verifier shared`): evidence for the record, nothing is undone.
 * Without what python writes by itself into `__pycache__`, and without a look at modules beside the work.
 */
export const tamperReport = async (docker: Docker, sandbox: DockerSandbox, image: ImageRef): Promise<string[]> => {
  const changes = await sandbox.changes();
  if (changes.length === 0) return [];
  const pristine = createPristine(docker, image, { run: "", env: {}, binaryDirectories: [], installers: false });
  try {
    const facts = await pristine.facts();
    return suspicious(changes, protect(facts, { reach: { words: new Set(), workingDirectories: [], binaryDirectories: [] } }));
  } finally {
    await pristine.close();
  }
};

/** The changes that judge, sorted; a changed parent directory alone is none. */
export const suspicious = (changes: readonly FileChange[], protection: Pick<ReturnType<typeof protect>, "treat">): string[] => {
  const parents = new Set(changes.map(({ path }) => path.slice(0, path.lastIndexOf("/"))));
  return changes
    .filter((change) => !change.path.includes("/__pycache__"))
    .filter((change) => {
      const { kind } = protection.treat(change);
      return kind === "blank" || kind === "shadow" || (kind === "restore" && (change.kind === "deleted" || !parents.has(change.path)));
    })
    .map((change) => change.path)
    .sort();
};
