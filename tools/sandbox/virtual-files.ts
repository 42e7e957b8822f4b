import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, readlink, stat, writeFile } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import type { IFileSystem, InMemoryFs } from "just-bash";
import type { CopyLimits, CopyReport, FileChange } from "./sandbox.js";

/** Folders that just-bash fills itself with stubs of its commands and devices: no one's work. */
const SYSTEM = ["/bin", "/usr/bin", "/dev", "/proc"];
export const isSystemPath = (path: string): boolean => SYSTEM.some((folder) => path === folder || path.startsWith(`${folder}/`));

/** What a file system holds, by path; the fingerprint of a file covers type, permission bits and content. */
export type FileTree = Map<string, string>;

export async function readTree(fs: IFileSystem): Promise<FileTree> {
  const tree: FileTree = new Map();
  for (const path of fs.getAllPaths()) {
    if (path === "/" || isSystemPath(path)) continue;
    const found = await fs.lstat(path);
    if (found.isSymbolicLink) tree.set(path, `link ${await fs.readlink(path)}`);
    else if (found.isDirectory) tree.set(path, `directory ${found.mode & 0o7777}`);
    else
      tree.set(
        path,
        `file ${found.mode & 0o7777} ${createHash("sha256")
          .update(await fs.readFileBuffer(path))
          .digest("hex")}`,
      );
  }
  return tree;
}

export function compareTrees(pristine: FileTree, now: FileTree): FileChange[] {
  const changes: FileChange[] = [];
  for (const [path, print] of now) {
    const before = pristine.get(path);
    if (before !== print) changes.push({ path, kind: before === undefined ? "added" : "changed" });
  }
  for (const path of pristine.keys()) if (!now.has(path)) changes.push({ path, kind: "deleted" });
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Copies everything but the system's folders. */
export async function copyTree(from: IFileSystem, to: InMemoryFs): Promise<void> {
  for (const path of from.getAllPaths().sort()) if (path !== "/" && !isSystemPath(path)) await copyEntry(from, to, path);
}

/** Copies one entry with its permission bits; a folder without its content. What stands at the target is replaced. */
export async function copyEntry(from: IFileSystem, to: InMemoryFs, path: string): Promise<void> {
  const found = await from.lstat(path);
  const there = await to.lstat(path).catch(() => null);
  if (there && !(found.isDirectory && there.isDirectory)) await to.rm(path, { recursive: true, force: true });
  if (found.isSymbolicLink) {
    await to.mkdir(posix.dirname(path), { recursive: true });
    await to.symlink(await from.readlink(path), path);
    return;
  }
  if (found.isDirectory) {
    if (!there?.isDirectory) await to.mkdir(path, { recursive: true });
  } else to.writeFileSync(path, new Uint8Array(await from.readFileBuffer(path)));
  await to.chmod(path, found.mode & 0o7777);
}

/** Writes a file; missing parents are made, a link at the target is replaced and never followed. */
export async function putFile(fs: IFileSystem, path: string, data: Uint8Array, mode: number): Promise<void> {
  await fs.mkdir(posix.dirname(path), { recursive: true });
  if (await fs.lstat(path).catch(() => null)) await fs.rm(path, { recursive: true, force: true });
  await fs.writeFile(path, new Uint8Array(data));
  await fs.chmod(path, mode);
}

/** A host folder into the file system: regular files and folders, links only where `keepLinks`; `take` decides by the relative path. */
export async function copyFromHost(
  hostDir: string,
  fs: IFileSystem,
  path: string,
  options: { keepLinks?: boolean; take?: (relative: string) => boolean } = {},
): Promise<void> {
  const visit = async (host: string, relative: string): Promise<void> => {
    for (const entry of await readdir(host, { withFileTypes: true })) {
      const inner = relative === "" ? entry.name : `${relative}/${entry.name}`;
      const target = posix.join(path, inner);
      if (entry.isDirectory()) await visit(join(host, entry.name), inner);
      if (options.take && !options.take(inner)) continue;
      if (entry.isDirectory()) {
        const there = await fs.lstat(target).catch(() => null);
        if (there && !there.isDirectory) await fs.rm(target, { recursive: true, force: true });
        await fs.mkdir(target, { recursive: true });
      } else if (entry.isFile()) {
        const source = join(host, entry.name);
        await putFile(fs, target, await readFile(source), (await stat(source)).mode & 0o777);
      } else if (entry.isSymbolicLink() && options.keepLinks) {
        await fs.mkdir(posix.dirname(target), { recursive: true });
        await fs.rm(target, { recursive: true, force: true });
        await fs.symlink(await readlink(join(host, entry.name)), target);
      }
    }
  };
  await fs.mkdir(path, { recursive: true });
  await visit(hostDir, "");
}

/** Regular files and folders under `path` into a host folder; links and what passes the limits are named, not copied. */
export async function copyToHost(fs: IFileSystem, path: string, hostDir: string, limits: CopyLimits): Promise<CopyReport> {
  const report: CopyReport = { files: 0, bytes: 0, skipped: [] };
  const skip = (where: string, why: string) => report.skipped.push({ path: where, why });
  const visit = async (from: string, to: string): Promise<void> => {
    const found = await fs.lstat(from).catch(() => null);
    if (!found) return void skip(from, "missing");
    if (found.isSymbolicLink) return void skip(from, "link");
    if (found.isDirectory) {
      await mkdir(to, { recursive: true });
      for (const name of (await fs.readdir(from)).sort()) {
        if (name === ".." || name.includes("/") || name.includes("\0")) skip(`${from}/${name}`, "outside");
        else await visit(posix.join(from, name), join(to, name));
      }
      return;
    }
    if (report.files >= limits.maxFiles || report.bytes + found.size > limits.maxBytes) return void skip(from, "too large");
    const data = await fs.readFileBuffer(from);
    await mkdir(dirname(to), { recursive: true });
    await writeFile(to, data, { mode: found.mode & 0o755 });
    report.files += 1;
    report.bytes += data.byteLength;
  };
  const root = await fs.lstat(path).catch(() => null);
  await visit(path, root && !root.isDirectory ? join(hostDir, posix.basename(path)) : hostDir);
  return report;
}
