import { cutText } from "../../state/cut-text.js";
import type { ProducedFile } from "../../state/produced-file.js";

export interface ExecutedCommand {
  command: string;
  /** Null when it timed out. */
  exitCode: number | null;
  output: string;
}

/** Characters of each command's output that are tried, from generous to none, until everything fits. */
const OUTPUT_BUDGETS = [1200, 500, 150, 0];

const heading = (command: ExecutedCommand, index: number): string => {
  const result =
    command.exitCode === 0 ? "exit code 0" : command.exitCode === null ? "FAILED: timed out" : `FAILED: exit code ${command.exitCode}`;
  return `#### Command ${index + 1} (${result})`;
};

const commandBlock = (command: ExecutedCommand, index: number, outputCharacters: number): string => {
  const output = outputCharacters === 0 ? "" : cutText(command.output.trim(), outputCharacters, "end");
  return `${heading(command, index)}\n~~~~bash\n${command.command}\n~~~~${output === "" ? "" : `\nOutput:\n~~~~text\n${output}\n~~~~`}`;
};

const fileBlock = (file: ProducedFile): string =>
  file.text === "" ? `- ${file.path} (${file.bytes} bytes)` : `- ${file.path} (${file.bytes} bytes)\n~~~~text\n${file.text}\n~~~~`;

/**
 * The second evidence block: every command in full with its exit code, failing ones marked, then the files that were there at the end.
 * When it does not fit, outputs lose their beginnings first, then the oldest commands go; the last ones always stay.
 */
export function executionChain(commands: readonly ExecutedCommand[], files: readonly ProducedFile[], characters: number): string {
  const produced =
    files.length === 0 ? "" : `\n\n#### Files at the end\n${cutText(files.map(fileBlock).join("\n"), Math.floor(characters / 3), "start")}`;
  const room = characters - produced.length;
  for (const budget of OUTPUT_BUDGETS) {
    const text = commands.map((command, index) => commandBlock(command, index, budget)).join("\n\n");
    if (text.length <= room || budget === 0) return `${text === "" ? "(no command was run)" : cutText(text, room, "end")}${produced}`;
  }
  return produced;
}
