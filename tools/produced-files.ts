import type { ProducedFile } from "../state/produced-file.js";
import type { Sandbox } from "./sandbox/sandbox.js";

const MAX_FILES = 40;
const MAX_TEXT_BYTES = 32_000;
const MAX_READ_BYTES = 1_000_000;
/** Where tools leave things that say nothing about the solution. */
const NOISE =
  /^\/(proc|sys|dev|tmp|run|logs|solution|tests|var\/(cache|lib|log|tmp)|root\/\.(cache|npm|local\/state)|usr\/lib|usr\/share|etc\/ld\.so\.cache)(\/|$)|__pycache__|\.pyc$/;

/** Files that differ from the image, without caches and logs; the text of small ones, for the distiller. */
export async function producedFiles(sandbox: Sandbox): Promise<ProducedFile[]> {
  const changed = (await sandbox.changes()).filter(({ kind, path }) => kind !== "deleted" && !NOISE.test(path)).slice(0, MAX_FILES * 4);
  const files: ProducedFile[] = [];
  for (const { path } of changed) {
    if (files.length >= MAX_FILES) break;
    const content = await sandbox.readFile(path, { maxBytes: MAX_READ_BYTES }).catch(() => null);
    if (content === null) continue;
    const isText = content.byteLength <= MAX_TEXT_BYTES && !content.includes(0);
    files.push({ path, text: isText ? new TextDecoder().decode(content) : "", bytes: content.byteLength });
  }
  return files;
}
