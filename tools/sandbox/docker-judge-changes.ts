import { posix } from "node:path";
import type Docker from "dockerode";
import { SparkError } from "../../state/errors.js";
import { translated } from "./docker-errors.js";
import type { FileChange, ImageRef } from "./sandbox.js";

const block = 512;
const whiteout = ".wh.";
const opaque = ".wh..wh..opq";

interface TarName {
  name: string;
  /** Type flag of the format: `0` file, `2` symbolic link, `5` directory. */
  type: string;
  linkname: string;
}

/**
 * Reads the names in a tar stream as its bytes come, and hands on the content that `visit` asks for: layers are archives within
 * an archive, of which only names matter. Knows the long names of both PAX and GNU.
 * @param visit returns what takes the entry's bytes (`null` when it has ended), or null to skip them
 */
export const createTarWalker = (visit: (entry: TarName) => ((data: Uint8Array | null) => void) | null): ((chunk: Uint8Array) => void) => {
  let header = Buffer.alloc(0);
  let body = 0;
  let padding = 0;
  let sink: ((data: Uint8Array | null) => void) | null = null;
  let long: { path?: string; linkpath?: string; size?: number } = {};

  const text = (from: number, length: number): string => {
    const field = header.subarray(from, from + length);
    const end = field.indexOf(0);
    return field.toString("utf8", 0, end < 0 ? length : end);
  };
  const number = (from: number, length: number): number => {
    // Sizes beyond the octal field are written as a big-endian number with the top bit set.
    if ((header[from]! & 0x80) !== 0) return header.subarray(from + 1, from + length).reduce((sum, byte) => sum * 256 + byte, 0);
    return Number.parseInt(text(from, length).trim() || "0", 8);
  };
  const collect = (take: (content: string) => void): ((data: Uint8Array | null) => void) => {
    const parts: Uint8Array[] = [];
    return (data) => (data === null ? take(Buffer.concat(parts).toString("utf8")) : void parts.push(Buffer.from(data)));
  };
  const begin = (): void => {
    const type = text(156, 1) || "0";
    const size = long.size ?? number(124, 12);
    body = type === "0" || /[xgLK]/.test(type) ? size : 0;
    padding = (block - (body % block)) % block;
    if (type === "x") {
      sink = collect((content) => {
        for (const [, key, value] of content.matchAll(/\d+ ([^=\n]+)=(.*)\n/g)) {
          if (key === "path") long.path = value!;
          if (key === "linkpath") long.linkpath = value!;
          if (key === "size") long.size = Number(value);
        }
      });
    } else if (type === "L" || type === "K") {
      sink = collect((content) => {
        long[type === "L" ? "path" : "linkpath"] = content.replace(/\0.*$/s, "");
      });
    } else if (type === "g") sink = null;
    else {
      const prefix = text(257, 5) === "ustar" ? text(345, 155) : "";
      const name = long.path ?? (prefix === "" ? text(0, 100) : `${prefix}/${text(0, 100)}`);
      const linkname = long.linkpath ?? text(157, 100);
      long = {};
      sink = visit({ name, type, linkname });
    }
    if (body === 0) finish();
  };
  const finish = (): void => {
    sink?.(null);
    sink = null;
  };

  return (chunk) => {
    for (let at = 0; at < chunk.length; ) {
      const rest = chunk.length - at;
      if (body > 0) {
        const part = Math.min(body, rest);
        sink?.(chunk.subarray(at, at + part));
        body -= part;
        at += part;
        if (body === 0) finish();
      } else if (padding > 0) {
        const part = Math.min(padding, rest);
        padding -= part;
        at += part;
      } else {
        const part = Math.min(block - header.length, rest);
        header = Buffer.concat([header, chunk.subarray(at, at + part)]);
        at += part;
        if (header.length < block) continue;
        // Blocks of zeros end an archive.
        if (header.some((byte) => byte !== 0)) begin();
        header = Buffer.alloc(0);
      }
    }
  };
};

const mostRemembered = 64;
const remembered = new WeakMap<Docker, Map<string, FileChange[]>>();

/** Keeps what a snapshot of this process changed, by its image id. */
export const rememberChanges = (docker: Docker, snapshot: string, changes: FileChange[]): void => {
  const known = remembered.get(docker) ?? new Map<string, FileChange[]>();
  remembered.set(docker, known);
  known.set(snapshot, changes);
  for (const old of [...known.keys()].slice(0, Math.max(0, known.size - mostRemembered))) known.delete(old);
};

/**
 * What a snapshot changed against its image: as remembered, else from the snapshot's own layers: for a process that did not make the snapshot and
 * so was not told (a resumed run). Streams the whole image out of the engine (134 MB in 2 s), so it is the second choice.
 */
export const snapshotChanges = async (docker: Docker, image: ImageRef, snapshot: string): Promise<FileChange[]> => {
  const told = remembered.get(docker)?.get(snapshot);
  if (told !== undefined) return told;
  const layersOf = async (name: string): Promise<string[]> =>
    (await translated(`image ${name}`, () => docker.getImage(name).inspect())).RootFS.Layers ?? [];
  const [below, all] = [await layersOf(image.id), await layersOf(snapshot)];
  if (below.some((layer, at) => all[at] !== layer)) {
    throw new SparkError(`snapshot ${snapshot} was not made from image ${image.name}. Run the attempt again.`, { code: "sandbox-failed" });
  }
  if (all.length === below.length) return [];
  const layers = await translated(`reading the layers of snapshot ${snapshot}`, () => readLayers(docker, snapshot));
  const known = new Set(layers.slice(0, below.length).flat());
  const changes = new Map<string, FileChange>();
  for (const paths of layers.slice(below.length)) for (const change of layerChanges(paths, known)) changes.set(change.path, change);
  return [...changes.values()];
};

/** The changes that one layer, given by its paths, makes to what lies below it. */
export const layerChanges = (paths: readonly string[], known: ReadonlySet<string>): FileChange[] =>
  paths.map((path): FileChange => {
    const folder = posix.dirname(path);
    const name = posix.basename(path);
    if (name === opaque) return { path: folder, kind: "deleted" };
    if (name.startsWith(whiteout)) return { path: posix.join(folder, name.slice(whiteout.length)), kind: "deleted" };
    return { path, kind: known.has(path) ? "changed" : "added" };
  });

/** Paths of each layer, lowest first. */
const readLayers = async (docker: Docker, snapshot: string): Promise<string[][]> => {
  const layers = new Map<string, string[]>();
  const aliases = new Map<string, string>();
  let manifest = "";
  const outer = createTarWalker(({ name, type, linkname }) => {
    if (type === "2") aliases.set(name, posix.join(posix.dirname(name), linkname));
    if (name === "manifest.json") {
      return (data) => {
        if (data !== null) manifest += Buffer.from(data).toString("utf8");
      };
    }
    if (type !== "0" || !/layer\.tar$|^blobs\/sha256\/./.test(name)) return null;
    const paths: string[] = [];
    layers.set(name, paths);
    const inner = createTarWalker((entry) => {
      const path = `/${entry.name.replace(/^(\.?\/)+/, "").replace(/\/+$/, "")}`;
      if (path !== "/" && path !== "/.") paths.push(path);
      return null;
    });
    // Newer engines lay descriptions in JSON beside the layers.
    let isJson: boolean | null = null;
    return (data) => {
      if (data === null || data.length === 0) return;
      isJson ??= data[0] === 0x7b || data[0] === 0x5b;
      if (!isJson) inner(data);
    };
  });
  const source = await docker.getImage(snapshot).get();
  for await (const chunk of source) outer(chunk as Buffer);
  const order = (JSON.parse(manifest || "[]") as { Layers: string[] }[])[0]?.Layers ?? [];
  const found = order.map((name) => layers.get(aliases.get(name) ?? name));
  if (found.length === 0 || found.includes(undefined)) {
    throw new SparkError(`the engine's archive of snapshot ${snapshot} lacks layers. Run the attempt again.`, { code: "sandbox-failed" });
  }
  return found as string[][];
};
