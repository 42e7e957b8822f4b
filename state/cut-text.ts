/**
 * Text within a budget of characters, saying what was cut. `end` keeps the end (a log), `start` the start (an instruction),
 * `ends` both (a third of the room to the start). The mark itself counts towards the budget.
 */
export function cutText(text: string, characters: number, keep: "start" | "end" | "ends"): string {
  if (text.length <= characters) return text;
  const mark = `\n[... ${text.length - characters} or more characters cut ...]\n`;
  const room = Math.max(0, characters - mark.length);
  if (keep === "start") return text.slice(0, room) + mark;
  if (keep === "end") return mark + text.slice(text.length - room);
  const head = Math.floor(room / 3);
  return text.slice(0, head) + mark + text.slice(text.length - (room - head));
}
