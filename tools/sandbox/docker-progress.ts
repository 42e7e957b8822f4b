import type { Readable } from "node:stream";

/** A build's or pull's end: its log in order, and the error event if there was one (the engine answers 200 all the same). */
export interface ProgressEnd {
  log: string[];
  error: string | null;
}

interface Field {
  number: number;
  value: Buffer | number;
}

/** The fields of one protobuf message: varints and byte strings, all that BuildKit's status uses. */
const fieldsOf = (data: Buffer): Field[] => {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; at < data.length; shift *= 128) {
      const byte = data[at]!;
      at += 1;
      value += (byte & 127) * shift;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < data.length) {
    const key = varint();
    const wire = key & 7;
    if (wire === 0) fields.push({ number: key >> 3, value: varint() });
    else if (wire === 2) {
      const length = varint();
      fields.push({ number: key >> 3, value: data.subarray(at, at + length) });
      at += length;
    } else at += wire === 1 ? 8 : 4;
  }
  return fields;
};

const textOf = (fields: Field[], number: number): string => {
  const field = fields.find((f) => f.number === number);
  return Buffer.isBuffer(field?.value) ? field.value.toString() : "";
};

/**
 * Lines of one BuildKit trace: step names when they begin, what commands print, errors. dockerode's own decoder leaves the
 * output base64. Field numbers: moby/buildkit api/services/control (StatusResponse 1 vertexes, 3 logs).
 */
export const decodeTrace = (aux: string): string[] => {
  const lines: string[] = [];
  for (const { number, value } of fieldsOf(Buffer.from(aux, "base64"))) {
    if (!Buffer.isBuffer(value)) continue;
    const fields = fieldsOf(value);
    if (number === 1) {
      const has = (wanted: number): boolean => fields.some((field) => field.number === wanted);
      if (has(5) && !has(6)) lines.push(textOf(fields, 3));
      if (textOf(fields, 7) !== "") lines.push(`ERROR: ${textOf(fields, 7)}`);
    }
    if (number === 3)
      lines.push(
        ...textOf(fields, 4)
          .split("\n")
          .filter((line) => line.trim() !== ""),
      );
  }
  return lines;
};

interface ProgressEvent {
  stream?: string;
  status?: string;
  id?: string;
  progress?: string;
  aux?: unknown;
  error?: string;
}

const linesOf = (event: ProgressEvent): string[] => {
  if (event.id === "moby.buildkit.trace" && typeof event.aux === "string") return decodeTrace(event.aux);
  if (event.stream !== undefined) return event.stream.split("\n").filter((line) => line.trim() !== "");
  // A progress bar is no line of a log; that a layer is done is.
  return event.status === undefined || event.progress ? [] : [event.id === undefined ? event.status : `${event.id}: ${event.status}`];
};

/** Reads the engine's stream of JSON lines to its end. */
export const followProgress = async (stream: Readable, onLine?: (line: string) => void): Promise<ProgressEnd> => {
  const end: ProgressEnd = { log: [], error: null };
  const take = (line: string): void => {
    if (line.trim() === "") return;
    const event = JSON.parse(line) as ProgressEvent;
    if (event.error !== undefined) end.error = event.error;
    for (const text of linesOf(event)) {
      end.log.push(text);
      onLine?.(text);
    }
  };
  let rest = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
  take(rest);
  return end;
};
