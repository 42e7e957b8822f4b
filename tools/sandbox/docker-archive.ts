import { constants, createReadStream } from "node:fs";
import { lstat, mkdir, open, readdir, readlink, unlink } from "node:fs/promises";
import { basename, join, posix } from "node:path";
import { Readable } from "node:stream";
import type Docker from "dockerode";
import { createTarDecoder, createTarPacker, type ParsedTarEntry } from "modern-tar";
import { messageOf, SparkError } from "../../state/errors.js";
import { asSparkError, meansLost, statusOf, translated } from "./docker-errors.js";
import type { CopyLimits, CopyReport, SandboxFile } from "./sandbox.js";

/** One entry of an archive that is sent to the engine. `name` is relative, with `/`. Owner root unless said. */
export type ArchiveEntry = { name: string; mode: number; uid?: number; gid?: number; mtime?: Date } & (
  | { type: "file"; data: Uint8Array }
  | { type: "file"; source: string; size: number }
  | { type: "directory" }
  | { type: "symlink"; linkname: string }
);

/** What stands at a path of a container; links are not followed. */
export interface PathStat {
  type: "file" | "directory" | "symlink" | "other";
  size: number;
  /** Permission bits. */
  mode: number;
  /** Empty unless a symlink. */
  linkTarget: string;
}

// Go's os.FileMode: type bits stand at the top of the number, permissions in the low nine bits.
const goDirectory = 2 ** 31;
const goSymlink = 2 ** 27;
const goOther = 2 ** 26 + 2 ** 25 + 2 ** 24 + 2 ** 21 + 2 ** 19;
const has = (mode: number, bits: number): boolean => (mode & bits) !== 0;

const longestName = 255;
const deepestPath = 64;
const defaultReadBytes = 64 * 1024 * 1024;

/** A tar stream of these entries, read from the host while it is sent. */
export const packEntries = (entries: readonly ArchiveEntry[]): Readable => {
  const { readable, controller } = createTarPacker();
  const write = async (): Promise<void> => {
    for (const entry of entries) {
      const size = entry.type !== "file" ? 0 : "data" in entry ? entry.data.byteLength : entry.size;
      const body = controller.add({
        name: entry.type === "directory" && !entry.name.endsWith("/") ? `${entry.name}/` : entry.name,
        size,
        type: entry.type,
        mode: entry.mode,
        uid: entry.uid ?? 0,
        gid: entry.gid ?? entry.uid ?? 0,
        mtime: entry.mtime ?? new Date(),
        ...(entry.type === "symlink" ? { linkname: entry.linkname } : {}),
      });
      const writer = body.getWriter();
      if (entry.type === "file" && size > 0) {
        if ("data" in entry) await writer.write(new Uint8Array(entry.data.buffer, entry.data.byteOffset, entry.data.byteLength));
        // A file that grows meanwhile is sent as long as it was when its header was written.
        else
          for await (const chunk of createReadStream(entry.source, { end: size - 1 })) await writer.write(new Uint8Array(chunk as Buffer));
      }
      await writer.close();
    }
    controller.finalize();
  };
  write().catch((error: unknown) => controller.error(error));
  return Readable.from(readable as unknown as AsyncIterable<Uint8Array>, { objectMode: false });
};

/** Sends entries to `path` of a container, which need not run. The directory `path` must exist. */
export const putEntries = async (container: Docker.Container, path: string, entries: readonly ArchiveEntry[]): Promise<void> => {
  if (entries.length === 0) return;
  await translated(`copying ${entries.length} entries to ${path}`, async () => {
    const response: unknown = await container.putArchive(packEntries(entries), { path });
    // An answer that is handed back unread keeps its socket, and with it the process, alive.
    (response as { resume?: () => void } | null)?.resume?.();
  });
};

/** Stat of a path, null when nothing is there. */
export const statPath = async (container: Docker.Container, path: string): Promise<PathStat | null> => {
  try {
    const response = (await container.infoArchive({ path })) as unknown as import("node:http").IncomingMessage;
    response.resume();
    const header = response.headers["x-docker-container-path-stat"];
    const stat = JSON.parse(Buffer.from(String(header), "base64").toString()) as { size: number; mode: number; linkTarget: string };
    const type = has(stat.mode, goDirectory)
      ? "directory"
      : has(stat.mode, goSymlink)
        ? "symlink"
        : has(stat.mode, goOther)
          ? "other"
          : "file";
    return { type, size: stat.size, mode: stat.mode & 0o777, linkTarget: stat.linkTarget };
  } catch (error) {
    // A HEAD answer has no body: 404 may mean the path or the whole container. Only the container itself can tell.
    if (statusOf(error) === 404 || statusOf(error) === 400) {
      await translated(`looking at ${path}`, () => container.inspect());
      return null;
    }
    throw asSparkError(error, `looking at ${path}`);
  }
};

const relativeName = (path: string): string => {
  const clean = posix.normalize(path);
  if (!clean.startsWith("/")) throw new SparkError(`a sandbox path must be absolute, got ${JSON.stringify(path)}`, { code: "internal" });
  return clean.slice(1);
};

/** Writes files (SandboxFile); parents are created (root, 755), a link at the target is replaced. */
export const putFiles = async (container: Docker.Container, files: readonly SandboxFile[]): Promise<void> => {
  const entries = files.map(
    (file): ArchiveEntry => ({
      type: "file",
      name: relativeName(file.path),
      data: file.data,
      mode: file.mode ?? 0o644,
      ...(file.uid === undefined ? {} : { uid: file.uid }),
      ...(file.gid === undefined ? {} : { gid: file.gid }),
    }),
  );
  await putEntries(container, "/", entries);
};

/** Node's own Readable.toWeb throws where nobody can catch it when it is cancelled while data comes (seen in 20.20). */
const webStream = (source: Readable): ReadableStream<Uint8Array> => {
  const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await chunks.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    cancel() {
      source.destroy();
    },
  });
};

/** Streams the archive of `path` entry by entry; the callback must read or ignore each body. Ends early when it returns false. */
export const eachEntry = async (
  container: Docker.Container,
  path: string,
  visit: (entry: ParsedTarEntry) => Promise<boolean>,
): Promise<"done" | "missing"> => {
  let source: Readable;
  try {
    source = (await container.getArchive({ path })) as unknown as Readable;
  } catch (error) {
    if (statusOf(error) === 404 && !meansLost(error)) return "missing";
    throw asSparkError(error, `reading ${path}`);
  }
  // Destroying the source early makes it emit an error which nobody else would take.
  source.on("error", () => undefined);
  const reader = webStream(source).pipeThrough(createTarDecoder()).getReader();
  try {
    for (;;) {
      const next = await reader.read();
      if (next.done || !(await visit(next.value))) break;
    }
  } catch (error) {
    throw asSparkError(error, `reading ${path}`);
  } finally {
    reader.cancel().catch(() => undefined);
    source.destroy();
  }
  return "done";
};

/** Content of a regular file, null when there is none (also for a link). Throws `sandbox-failed` over `maxBytes`. */
export const getFile = async (
  container: Docker.Container,
  path: string,
  options: { maxBytes?: number } = {},
): Promise<Uint8Array | null> => {
  const limit = options.maxBytes ?? defaultReadBytes;
  const tooLarge = (size: number): SparkError =>
    new SparkError(`${path} in the sandbox has ${size} bytes, more than the ${limit} that are read. Look at it inside instead.`, {
      code: "sandbox-failed",
    });
  const stat = await statPath(container, path);
  if (stat === null || stat.type !== "file") return null;
  if (stat.size > limit) throw tooLarge(stat.size);
  let found: Uint8Array | null = null;
  const state = await eachEntry(container, path, async ({ header, body }) => {
    if (header.type !== "file") return false;
    if (header.size > limit) throw tooLarge(header.size);
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    found = Buffer.concat(chunks);
    return false;
  });
  return state === "missing" ? null : found;
};

/** Regular files, directories and, when `links`, symbolic links below a host directory, sorted; other kinds are left out. */
export const walkHost = async (
  root: string,
  options: { links: boolean; keep?: (name: string, directory: boolean) => boolean },
): Promise<ArchiveEntry[]> => {
  const entries: ArchiveEntry[] = [];
  const visit = async (folder: string): Promise<void> => {
    const names = (await readdir(join(root, folder))).sort();
    for (const item of names) {
      const name = folder === "" ? item : `${folder}/${item}`;
      const source = join(root, name);
      const stat = await lstat(source);
      if (options.keep !== undefined && !options.keep(name, stat.isDirectory())) continue;
      const common = { name, mode: stat.mode & 0o7777, mtime: stat.mtime };
      if (stat.isDirectory()) {
        entries.push({ ...common, type: "directory" });
        await visit(name);
      } else if (stat.isFile()) entries.push({ ...common, type: "file", source, size: stat.size });
      else if (stat.isSymbolicLink() && options.links) entries.push({ ...common, type: "symlink", linkname: await readlink(source) });
    }
  };
  await visit("");
  return entries;
};

/** Copies the content of a host directory into `path`: owner root, modes kept, no links. What is there already stays. */
export const copyIn = async (container: Docker.Container, hostDir: string, path: string): Promise<void> => {
  const target = relativeName(path).replace(/\/$/, "");
  const entries = await walkHost(hostDir, { links: false });
  const there = target === "" ? null : await statPath(container, `/${target}`);
  const placed = entries.map((entry): ArchiveEntry => ({ ...entry, name: target === "" ? entry.name : `${target}/${entry.name}` }));
  // An own entry for the directory replaces a link that stands in its place; an existing directory keeps its owner and mode.
  if (target !== "" && there?.type !== "directory") placed.unshift({ type: "directory", name: target, mode: 0o755 });
  await putEntries(container, "/", placed);
};

const refusal = (name: string): string | null => {
  if (posix.isAbsolute(name) || name.split("/").includes("..")) return "outside";
  if (name.includes("\0")) return "name";
  const parts = name.split("/");
  if (parts.length > deepestPath) return "too deep";
  return parts.some((part) => Buffer.byteLength(part) > longestName) ? "name too long" : null;
};

const writeBody = async (target: string, mode: number, body: ReadableStream<Uint8Array>): Promise<void> => {
  const stat = await lstat(target).catch(() => null);
  if (stat !== null && !stat.isDirectory()) await unlink(target);
  const file = await open(target, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, (mode & 0o755) | 0o600);
  try {
    for await (const chunk of body) await file.write(chunk);
  } finally {
    await file.close();
  }
};

/**
 * Copies a path of a container, whose content is untrusted, into `hostDir`: regular files and directories only, each other
 * kind is named in `skipped`. A file that would pass the limit ends the copy (a sparse file arrives as all its zeros), and
 * `skipped` says so. A path that is itself a regular file arrives under its base name. A second copy replaces the first.
 */
export const copyOut = async (container: Docker.Container, path: string, hostDir: string, limits: CopyLimits): Promise<CopyReport> => {
  const report: CopyReport = { files: 0, bytes: 0, skipped: [] };
  const stat = await statPath(container, path);
  if (stat === null || (stat.type !== "directory" && stat.type !== "file")) {
    report.skipped.push({ path, why: stat === null ? "missing" : stat.type === "symlink" ? "link" : "device" });
    return report;
  }
  await mkdir(hostDir, { recursive: true });
  const prefix = `${basename(posix.normalize(path).replace(/\/$/, ""))}`;
  let seen = 0;
  await eachEntry(container, path, async ({ header, body }) => {
    const whole = header.name.replace(/^\.?\//, "").replace(/\/+$/, "");
    const name = stat.type === "file" ? prefix : prefix === "" ? whole : whole.slice(prefix.length + 1);
    if (name === "") return true;
    const where = stat.type === "file" ? path : posix.join(path, name);
    const skip = (why: string): boolean => {
      report.skipped.push({ path: where, why });
      return true;
    };
    seen += 1;
    if (seen > limits.maxFiles) return !skip(`more than ${limits.maxFiles} files: the copy ends here`);
    const refused = refusal(name);
    if (refused !== null || (header.type !== "file" && header.type !== "directory")) {
      await body.cancel();
      return skip(refused ?? (header.type === "symlink" || header.type === "link" ? "link" : "device"));
    }
    const target = join(hostDir, name);
    try {
      if (header.type === "directory") {
        const old = await lstat(target).catch(() => null);
        if (old !== null && !old.isDirectory()) return skip("a file stands in its place");
        if (old === null) await mkdir(target, { mode: 0o755 });
        return true;
      }
      if (report.bytes + header.size > limits.maxBytes) return !skip(`too large (${header.size} bytes): the copy ends here`);
      await writeBody(target, header.mode ?? 0o644, body);
    } catch (error) {
      const code = (error as { code?: string }).code ?? "";
      // A full disk or a missing right is ours to report; the rest is a name that this file system does not take.
      if (["ENOSPC", "EDQUOT", "EROFS", "EACCES"].includes(code)) {
        throw new SparkError(`copying ${where} out of the sandbox to ${target}: ${messageOf(error)}`, { code: "disk", cause: error });
      }
      if (code === "") throw error;
      await body.cancel().catch(() => undefined);
      return skip(code);
    }
    report.files += 1;
    report.bytes += header.size;
    return true;
  });
  return report;
};
