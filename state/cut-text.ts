/**
 * Text within a budget of characters, saying what was cut. `end` keeps the end (a log), `start` the start (an instruction),
 * `ends` both (a third of the room to the start). The mark itself counts towards the budget.
 */
export function cutText(text: string, characters: number, keep: "start" | "end" | "ends"): string {
  if (text.length <= characters) return text;
  const mark = `\n[... ${text.length - characters} or more characters cut ...]\n`;
  const room = Math.max(0, characters - mark.length);
  if (keep === "start") return startOf(text, room) + mark;
  if (keep === "end") return mark + endOf(text, room);
  const head = Math.floor(room / 3);
  return startOf(text, head) + mark + endOf(text, room - head);
}

// A character of two units is kept or dropped whole: half of one is no valid text, and providers refuse it.
const startOf = (text: string, characters: number): string => text.slice(0, characters).replace(/[\uD800-\uDBFF]$/, "");
const endOf = (text: string, characters: number): string => text.slice(text.length - characters).replace(/^[\uDC00-\uDFFF]/, "");
