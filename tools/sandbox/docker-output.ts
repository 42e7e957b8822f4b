/** Bytes of one stream of a command: head and tail are kept, what lies between is counted. */
export interface OutputCapture {
  add(data: Uint8Array): void;
  /** Bytes that came, kept or not. */
  readonly total: number;
  readonly truncated: boolean;
  /** What was kept; where something is missing stands a line that says how much. */
  bytes(): Uint8Array;
}

/** @param limit bytes kept, half of them from the beginning and half from the end */
export const createCapture = (limit: number): OutputCapture => {
  const headLimit = Math.ceil(limit / 2);
  const tailLimit = Math.max(1, limit - headLimit);
  const head: Uint8Array[] = [];
  const tail: Uint8Array[] = [];
  let headSize = 0;
  let tailSize = 0;
  let total = 0;
  return {
    add(data) {
      total += data.byteLength;
      const room = headLimit - headSize;
      if (room > 0) {
        // A copy: the chunk is a view into a socket buffer that would be kept alive by a few bytes.
        head.push(new Uint8Array(data.subarray(0, room)));
        headSize += Math.min(room, data.byteLength);
      }
      const rest = room > 0 ? data.subarray(room) : data;
      if (rest.byteLength === 0) return;
      tail.push(new Uint8Array(rest.subarray(-tailLimit)));
      tailSize += Math.min(rest.byteLength, tailLimit);
      while (tail.length > 1 && tailSize - tail[0]!.byteLength >= tailLimit) tailSize -= tail.shift()!.byteLength;
    },
    get total() {
      return total;
    },
    get truncated() {
      return total > limit;
    },
    bytes() {
      const end = Buffer.concat(tail).subarray(-tailLimit);
      if (total <= limit) return Buffer.concat([...head, end]);
      return Buffer.concat([...head, Buffer.from(`\n[… ${total - headSize - end.byteLength} bytes left out …]\n`), end]);
    },
  };
};

export type StreamName = "stdout" | "stderr";

/**
 * Parser for the engine's multiplexed stream: 8 bytes of header (stream, three zeros, length) before each payload. Payload
 * is handed on as it comes, never collected: docker-modem's own demuxer holds whole frames and has no back-pressure.
 */
export const createFrameParser = (take: (stream: StreamName, data: Buffer) => void): ((chunk: Buffer) => void) => {
  const header = Buffer.alloc(8);
  let headerSize = 0;
  let left = 0;
  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (left === 0) {
        const copied = chunk.copy(header, headerSize, at, at + 8 - headerSize);
        headerSize += copied;
        at += copied;
        if (headerSize < 8) return;
        headerSize = 0;
        left = header.readUInt32BE(4);
        continue;
      }
      const part = chunk.subarray(at, at + left);
      at += part.length;
      left -= part.length;
      take(header[0] === 2 ? "stderr" : "stdout", part);
    }
  };
};

/** Looks for `marker` in a stream that comes in pieces; holds back only what may be the beginning of it. */
export interface MarkerScanner {
  /** Feeds bytes. Returns what follows the marker once it has come, else null; what precedes it goes to `pass`. */
  feed(data: Buffer): Buffer | null;
}

export const createMarkerScanner = (marker: Buffer, pass: (data: Buffer) => void): MarkerScanner => {
  let held: Buffer = Buffer.alloc(0);
  return {
    feed(data) {
      const all = held.length === 0 ? data : Buffer.concat([held, data]);
      const found = all.indexOf(marker);
      if (found >= 0) {
        if (found > 0) pass(all.subarray(0, found));
        held = Buffer.alloc(0);
        return all.subarray(found + marker.length);
      }
      let keep = Math.min(marker.length - 1, all.length);
      while (keep > 0 && all.compare(marker, 0, keep, all.length - keep) !== 0) keep -= 1;
      if (all.length > keep) pass(all.subarray(0, all.length - keep));
      held = Buffer.from(all.subarray(all.length - keep));
      return null;
    },
  };
};
