import type { InMemoryFs } from "just-bash";
import type { FileChange } from "./sandbox.js";
import { compareTrees, copyEntry, readTree } from "./virtual-files.js";
import { instantiate, type VirtualImage } from "./virtual-image.js";

/** Top-level modules of Python 3.13's standard library that a file beside the work could stand in for. */
const STANDARD_LIBRARY = new Set(
  (
    "__future__ abc argparse array ast asyncio atexit base64 bdb binascii bisect builtins bz2 cProfile calendar cmath cmd code codecs codeop collections colorsys compileall concurrent " +
    "configparser contextlib contextvars copy copyreg csv ctypes curses dataclasses datetime dbm decimal difflib dis doctest email encodings ensurepip enum errno faulthandler fcntl filecmp " +
    "fileinput fnmatch fractions ftplib functools gc genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html http idlelib imaplib importlib inspect io ipaddress " +
    "itertools json keyword linecache locale logging lzma mailbox marshal math mimetypes mmap modulefinder multiprocessing netrc ntpath nturl2path numbers opcode operator optparse os pathlib " +
    "pdb pickle pickletools pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc pytest _pytest queue quopri random re readline reprlib " +
    "resource rlcompleter runpy sched secrets select selectors shelve shlex shutil signal site sitecustomize smtplib socket socketserver sqlite3 sre_compile sre_constants sre_parse ssl stat " +
    "statistics string stringprep struct subprocess symtable sys sysconfig syslog tabnanny tarfile tempfile termios textwrap this threading time timeit tkinter token tokenize tomllib trace " +
    "traceback tracemalloc tty turtle types typing unicodedata unittest urllib usercustomize uuid venv warnings wave weakref webbrowser wsgiref xml xmlrpc zipapp zipfile zipimport zlib zoneinfo"
  ).split(" "),
);

/** Folders that the verifier brings itself. */
const REPLACED = ["/tests", "/logs/verifier"];
const isUnder = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

/**
 * Whether a change touches what judges. Shell, tools and interpreter are no files in here, so only what would be taken *instead* of them
 * remains: an added command on PATH of the same name, and a module in the verifier's directory that hides one of the standard library.
 */
function judges(path: string, image: VirtualImage, workdir: string, commands: ReadonlySet<string>): boolean {
  const folders = (image.env.PATH ?? "").split(":").filter((folder) => folder !== "");
  if (folders.some((folder) => path.startsWith(`${folder}/`) && commands.has(path.slice(folder.length + 1)))) return true;
  const root = workdir === "/" ? "/" : `${workdir}/`;
  if (!path.startsWith(root)) return false;
  const [first] = path.slice(root.length).split("/");
  return STANDARD_LIBRARY.has(first!.replace(/\.py$/, ""));
}

/** The pristine image with the agent's changes, without those that judge: sandbox.md 4.4 for an environment without binaries. */
export async function judgedFiles(
  image: VirtualImage,
  agent: InMemoryFs,
  options: { workdir: string; commands: readonly string[]; createFs: () => InMemoryFs },
): Promise<{ fs: InMemoryFs; withheld: string[]; changes: FileChange[] }> {
  const fs = await instantiate(image, options.createFs);
  const changes = compareTrees(image.tree, await readTree(agent));
  const commands = new Set(options.commands);
  const withheld: string[] = [];
  const carried = changes.filter(({ path }) => {
    if (REPLACED.some((folder) => isUnder(path, folder))) return false;
    if (!judges(path, image, options.workdir, commands)) return true;
    withheld.push(path);
    return false;
  });
  for (const { path, kind } of [...carried].reverse()) if (kind === "deleted") await fs.rm(path, { recursive: true, force: true });
  for (const { path, kind } of carried) if (kind !== "deleted") await copyEntry(agent, fs, path);
  return { fs, withheld, changes };
}
