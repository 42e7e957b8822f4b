import { posix } from "node:path";
import { Readable } from "node:stream";
import type Docker from "dockerode";
import { createTarDecoder } from "modern-tar";
import { SparkError } from "../../state/errors.js";
import { asSparkError, translated } from "./docker-errors.js";
import type { FileChange, ImageRef } from "./sandbox.js";

const whiteout = ".wh.";
const opaque = ".wh..wh..opq";

/** One layer's paths. */
interface Layer {
  paths: { path: string }[];
}

/**
 * What a snapshot changed against its image, from the snapshot's own layers: for a process that did not make the snapshot and
 * so was not told (a resumed run). Streams the whole image out of the engine (134 MB in 2 s), so it is the second choice.
 */
export const snapshotChanges = async (docker: Docker, image: ImageRef, snapshot: string): Promise<FileChange[]> => {
  const inspect = (name: string) => translated(`image ${name}`, () => docker.getImage(name).inspect());
  const [base, made] = [await inspect(image.id), await inspect(snapshot)];
  const below: string[] = base.RootFS?.Layers ?? [];
  const all: string[] = made.RootFS?.Layers ?? [];
  if (below.some((layer, at) => all[at] !== layer)) {
    throw new SparkError(`snapshot ${snapshot} was not made from image ${image.name}. Run the attempt again.`, { code: "sandbox-failed" });
  }
  if (all.length === below.length) return [];
  const { layers, order } = await readLayers(docker, snapshot);
  const known = new Set(order.slice(0, below.length).flatMap((name) => layers.get(name)!.paths.map((entry) => entry.path)));
  const changes = new Map<string, FileChange>();
  for (const name of order.slice(below.length))
    for (const change of layerChanges(layers.get(name)!, known)) changes.set(change.path, change);
  return [...changes.values()];
};

/** The changes that one layer makes to what lies below it. */
export const layerChanges = (layer: Layer, known: ReadonlySet<string>): FileChange[] =>
  layer.paths.map(({ path }): FileChange => {
    const at = path.lastIndexOf("/");
    const [folder, name] = [path.slice(0, at), path.slice(at + 1)];
    if (name === opaque) return { path: folder, kind: "deleted" };
    if (name.startsWith(whiteout)) return { path: `${folder}/${name.slice(whiteout.length)}`, kind: "deleted" };
    return { path, kind: known.has(path) ? "changed" : "added" };
  });

const decoded = (stream: ReadableStream<Uint8Array>) => stream.pipeThrough(createTarDecoder());

const readLayers = async (docker: Docker, snapshot: string): Promise<{ layers: Map<string, Layer>; order: string[] }> => {
  const layers = new Map<string, Layer>();
  const aliases = new Map<string, string>();
  let manifest: { Layers: string[] } | undefined;
  try {
    const source = (await docker.getImage(snapshot).get()) as Readable;
    for await (const { header, body } of decoded(Readable.toWeb(source) as ReadableStream<Uint8Array>)) {
      if (header.type === "symlink") aliases.set(header.name, header.linkname ?? "");
      if (header.type !== "file") {
        await body.cancel();
      } else if (header.name === "manifest.json") {
        manifest = (JSON.parse(await textOf(body)) as { Layers: string[] }[])[0];
      } else if (/layer\.tar$|^blobs\/sha256\//.test(header.name)) {
        const layer = await readLayer(body);
        if (layer !== null) layers.set(header.name, layer);
      } else await body.cancel();
    }
  } catch (error) {
    throw asSparkError(error, `reading the layers of snapshot ${snapshot}`);
  }
  const order = manifest?.Layers.map((name) => resolved(name, aliases)) ?? [];
  if (order.length === 0 || order.some((name) => !layers.has(name))) {
    throw new SparkError(`the engine's archive of snapshot ${snapshot} lacks layers. Run the attempt again.`, { code: "sandbox-failed" });
  }
  return { layers, order };
};

const textOf = async (body: ReadableStream<Uint8Array>): Promise<string> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

/** Engines that export a layer twice write a link in the place of the second. */
const resolved = (name: string, aliases: ReadonlyMap<string, string>): string => {
  const target = aliases.get(name);
  return target === undefined ? name : posix.join(posix.dirname(name), target);
};

/** Null when the file is not a layer but a description in JSON. */
const readLayer = async (body: ReadableStream<Uint8Array>): Promise<Layer | null> => {
  const [look, whole] = body.tee();
  const reader = look.getReader();
  const first = await reader.read();
  reader.cancel().catch(() => undefined);
  if (first.done || first.value[0] === 0x7b || first.value[0] === 0x5b) {
    await whole.cancel();
    return null;
  }
  const paths: Layer["paths"] = [];
  for await (const { header, body: content } of decoded(whole)) {
    await content.cancel();
    const path = `/${header.name.replace(/^\.?\//, "").replace(/\/+$/, "")}`;
    if (path !== "/") paths.push({ path });
  }
  return { paths };
};
