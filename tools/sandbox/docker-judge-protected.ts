import { posix } from "node:path";
import type { PristineFacts } from "./docker-judge-pristine.js";
import { homesOf } from "./docker-judge-pristine.js";
import type { TestReach } from "./docker-judge-reach.js";
import type { FileChange } from "./sandbox.js";

/**
 * What becomes of one change of the agent's in the verifier's container:
 * `carry` it stays; `restore` the pristine path judges, so it goes back; `look` a directory on the way to what judges, which
 * matters only when something else stands in its place; `blank` an added hook or cache that would run in what judges;
 * `shadow` an added program that would be found before a pristine one that judges.
 */
export type Treatment = { kind: "carry" | "restore" | "look" | "blank" } | { kind: "shadow"; target: string };

/** Programs that judge whatever the tests say: shells, interpreters, and what any script calls without thinking. */
const coreNames = new Set(
  `sh bash dash ash busybox zsh ksh fish env printenv nice nohup timeout setsid setpriv stdbuf xargs find grep egrep fgrep zgrep sed awk gawk mawk nawk
  cat tac head tail cut paste join sort uniq wc tr tee nl od xxd hexdump base64 base32 fold fmt pr expand unexpand split csplit comm cmp diff diff3 patch
  ls dir cp mv rm ln mkdir rmdir touch install mktemp mknod mkfifo chmod chown chgrp stat file du df sync truncate shred dd readlink realpath basename dirname pwd
  echo printf yes true false test [ expr seq sleep date cal uname hostname id whoami who groups users logname tty stty nproc uptime arch
  md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum sum tar gzip gunzip zcat bzip2 bunzip2 bzcat xz unxz xzcat unzip zip
  ps kill pkill pgrep killall pidof su sudo runuser login getent ldconfig ldd ld.so which whereis run-parts start-stop-daemon
  pytest py.test nosetests nose2 node nodejs perl ruby php lua tclsh`.split(/\s+/),
);
const coreName = (name: string): boolean =>
  coreNames.has(name) ||
  /^(python|pypy|perl|ruby|php|lua|node|pytest)-?[\d.]+[a-z]*$/.test(name) ||
  name === "python" ||
  /^ld-(linux|musl).*\.so/.test(name);

const libraryDir = /^\/(usr\/|usr\/local\/)?lib(32|64|x32)?(\/[a-z0-9_]+-linux-[a-z0-9]+)?$/;
const libraryFile = /^[^/]+\.so(\.[\w.]+)?$/;
/** Loadable parts of libc, OpenSSL and the loader, wherever they are; and perl's and ruby's own libraries. */
const libraryTree =
  /^\/(usr\/|usr\/local\/)?lib(32|64|x32)?(\/[a-z0-9_]+-linux-[a-z0-9]+)?\/(gconv|audit|glibc-hwcaps|tls|engines-[\w.]+|ossl-modules|perl-base|perl[\d.]*|ruby)(\/|$)|^\/usr\/share\/perl[\d.]*(\/|$)|^\/etc\/perl(\/|$)/;
/** Added, these run code in programs that judge. */
const loaderHook = /\/(glibc-hwcaps|tls)(\/|$)|\/gconv\/|\/libnss_[^/]+$|^\/etc\/perl\//;

/** Configuration that programs which judge read. An entry that ends in `/` is a directory. */
const systemConfiguration = `/etc/ld.so.preload /etc/ld.so.conf /etc/ld.so.conf.d/ /etc/ld.so.cache /etc/nsswitch.conf /etc/gai.conf
  /etc/ssl/openssl.cnf /usr/lib/ssl/openssl.cnf /usr/local/ssl/openssl.cnf /usr/local/lib/ssl/openssl.cnf
  /etc/profile /etc/profile.d/ /etc/bash.bashrc /etc/bashrc /etc/zsh/ /etc/zshenv /etc/zshrc /etc/zprofile
  /etc/pip.conf /etc/xdg/pip/ /etc/uv/ /etc/xdg/uv/ /etc/npmrc /usr/etc/npmrc /usr/local/etc/npmrc /etc/curlrc /etc/wgetrc /etc/netrc
  /etc/apt/ /etc/dpkg/dpkg.cfg /etc/dpkg/dpkg.cfg.d/`.split(/\s+/);
const muslPath = /^\/etc\/ld-musl-[^/]+\.path$/;

const homeConfiguration =
  `.bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc .zshenv .zprofile .zlogin .kshrc .mkshrc .shrc
  .curlrc .wgetrc .netrc .pip/ .pydistutils.cfg .npmrc .yarnrc .pythonrc .pythonrc.py .pypirc .config/pip/ .config/uv/ .config/curlrc .config/fish/
  .local/bin/`.split(/\s+/);
/** Caches from which installers take packages: an added one would become the test runner. Only while tests install anything. */
const homeCaches = [".cache/pip/", ".cache/uv/", ".local/share/uv/tools/", ".npm/", ".cache/pypoetry/"];
const systemCaches = ["/var/lib/apt/lists/", "/var/cache/apt/"];

/** Read by a test runner in every directory above the tests, hence in the root. */
const runnerFiles = new Set(
  "/conftest.py /pytest.ini /.pytest.ini /pytest.toml /.pytest.toml /tox.ini /setup.cfg /setup.py /pyproject.toml /uv.toml /.coveragerc /__init__.py /package.json /jest.config.js /vitest.config.ts".split(
    " ",
  ),
);
/** Beside or above an interpreter these move its library elsewhere. */
const interpreterLandmark = /^(pyvenv\.cfg|pybuilddir\.txt|.*\._pth)$/;
const startupModule = /^(sitecustomize|usercustomize)(\.|$)/;
const installers = ["pip", "pip3", "uv", "uvx", "npm", "npx", "apt", "apt-get", "poetry", "pipx", "yarn", "pnpm"];

/** Programs that tests install before they call them: where the image lacks one, the agent's must not be found instead. */
const runnerPrograms = new Set([
  "pytest",
  "py.test",
  "nosetests",
  "nose2",
  "tox",
  "nox",
  "uv",
  "uvx",
  "pip",
  "pip3",
  "pipx",
  "npx",
  "jest",
  "vitest",
  "mocha",
  "bats",
]);

/** Whether a test script installs packages itself. */
export const installsPackages = (reach: Pick<TestReach, "words">): boolean => installers.some((name) => reach.words.has(name));

/** Decides for each change of the agent's. Pure. */
export interface Protection {
  treat(change: FileChange): Treatment;
  /** Whether this path, as the pristine image has it, judges. */
  judges(path: string): boolean;
  /** Whether something that judges stands below this directory. */
  leadsOn(path: string): boolean;
  /** Directories in which a shadowing module is found before the standard library. */
  fronts: string[];
  homes: string[];
}

const inside = (path: string, dir: string): boolean => path.startsWith(dir === "/" ? "/" : `${dir}/`);

/** @param more `workdir` and `home` of the verifier where they differ from the image's, the tests' reach */
export const protect = (facts: PristineFacts, more: { workdir?: string; reach: TestReach }): Protection => {
  const homes = [...new Set([...homesOf(facts.passwd), ...(facts.env.HOME?.startsWith("/") ? [facts.env.HOME] : [])])];
  const judgingName = (name: string): boolean => coreName(name) || more.reach.words.has(name) || facts.startWords.includes(name);
  const files = new Set<string>(facts.startFiles);
  const trees = new Set<string>(facts.startDirs);
  const firstOnPath = new Map<string, string>();
  for (const { path, hops } of facts.executables) {
    const name = posix.basename(path);
    if (!firstOnPath.has(name)) firstOnPath.set(name, path);
    if (!judgingName(name)) continue;
    for (const file of [path, ...hops]) {
      files.add(file);
      const [, pack] = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file) ?? [];
      if (pack !== undefined) trees.add(pack);
    }
  }
  for (const name of ["BASH_ENV", "ENV", "PYTHONSTARTUP", "LD_PRELOAD", "PIP_CONFIG_FILE", "OPENSSL_CONF", "CURL_HOME", "NODE_OPTIONS"]) {
    for (const path of (facts.env[name] ?? "").split(/[\s:=]+/)) if (path.startsWith("/")) files.add(posix.normalize(path));
  }
  const landmarkDirs = new Set<string>();
  const sites = new Set<string>();
  const libraries = new Set<string>();
  for (const { command, resolution } of facts.interpreters) {
    files.add(resolution.executable);
    for (const dir of [posix.dirname(command), posix.dirname(resolution.executable)])
      for (const at of [dir, posix.dirname(dir)]) landmarkDirs.add(at);
    for (const folder of resolution.standard) libraries.add(folder);
    for (const folder of resolution.path.slice(resolution.firstSite)) sites.add(folder);
    for (const path of Object.keys(resolution.digests)) files.add(path);
    for (const match of resolution.matches) if (match.initializer !== null) trees.add(match.path);
  }
  // What a link of the library leads to: Debian keeps sitecustomize.py in /etc.
  for (const library of libraries) {
    const [, version] = /\/(python3(?:\.\d+)?)(\/|$)/.exec(library) ?? [];
    if (version !== undefined) trees.add(`/etc/${version}`);
  }
  const modules = new Set([...files].map((file) => posix.join(posix.dirname(file), posix.basename(file).split(".")[0]!)));
  const configuration = [...systemConfiguration, ...homes.flatMap((home) => homeConfiguration.map((name) => posix.join(home, name)))];
  const caches = installsPackages(more.reach)
    ? [...systemCaches, ...homes.flatMap((home) => homeCaches.map((name) => posix.join(home, name)))]
    : [];
  const configured = (path: string, list: readonly string[]): boolean =>
    list.some((entry) => (entry.endsWith("/") ? path === entry.slice(0, -1) || path.startsWith(entry) : path === entry));
  const loaderDirs = new Set((facts.env.LD_LIBRARY_PATH ?? "").split(":").filter((dir) => dir.startsWith("/")));

  const inLibrary = (path: string): boolean => {
    for (const library of libraries) {
      if (path === library) return true;
      if (inside(path, library)) return !/\/(site|dist)-packages(\/|$)/.test(path.slice(library.length));
    }
    return false;
  };
  const inTree = (path: string): boolean => {
    for (let at = path; at.length > 1; at = posix.dirname(at)) if (trees.has(at)) return true;
    return false;
  };
  const isCache = (path: string): boolean => {
    const at = path.indexOf("/__pycache__");
    if (at < 0) return false;
    const folder = path.slice(0, at);
    if (inLibrary(folder) || inTree(folder)) return true;
    // Beside single-file modules of the test runner stand caches of other packages too; only its own judge.
    const module = /\/__pycache__\/([^./]+)\./.exec(path)?.[1];
    return module !== undefined && modules.has(posix.join(folder, module));
  };
  const isLibraryFile = (path: string): boolean => {
    const dir = posix.dirname(path);
    return ((libraryDir.test(dir) || loaderDirs.has(dir)) && libraryFile.test(posix.basename(path))) || libraryTree.test(path);
  };
  const alternative = (path: string): boolean => posix.dirname(path) === "/etc/alternatives" && judgingName(posix.basename(path));
  const landmark = (path: string): boolean => interpreterLandmark.test(posix.basename(path)) && landmarkDirs.has(posix.dirname(path));
  const judges = (path: string): boolean =>
    files.has(path) ||
    inTree(path) ||
    inLibrary(path) ||
    isCache(path) ||
    isLibraryFile(path) ||
    configured(path, configuration) ||
    configured(path, caches) ||
    muslPath.test(path) ||
    alternative(path) ||
    landmark(path) ||
    runnerFiles.has(path) ||
    (sites.has(posix.dirname(path)) && (path.endsWith(".pth") || startupModule.test(posix.basename(path))));

  const ways = new Set<string>([
    "/etc",
    "/etc/alternatives",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/bin",
    "/sbin",
    "/tests",
    "/logs",
    ...homes,
  ]);
  const linked = facts.executables.flatMap(({ path, hops }) => (judgingName(posix.basename(path)) ? hops : []));
  for (const path of [
    ...facts.pathDirs,
    ...libraries,
    ...sites,
    ...trees,
    ...linked,
    ...files,
    ...configuration,
    ...loaderDirs,
    ...facts.startFiles,
  ]) {
    for (let at = posix.dirname(`${path.replace(/\/$/, "")}/x`); at.length > 1; at = posix.dirname(at)) ways.add(at);
  }
  for (const file of files) ways.delete(file);

  const added = (path: string): Treatment => {
    const name = posix.basename(path);
    const dir = posix.dirname(path);
    if (configured(path, configuration) || configured(path, caches) || runnerFiles.has(path) || muslPath.test(path) || landmark(path)) {
      // The directory of a hook is none itself: only what stands in it is withheld.
      return configuration.includes(`${path}/`) && !path.endsWith("/.local/bin") ? { kind: "look" } : { kind: "blank" };
    }
    if (loaderHook.test(path) && (libraryTree.test(path) || libraryDir.test(dir))) return { kind: "blank" };
    if ((libraryDir.test(dir) || loaderDirs.has(dir)) && facts.libraries.has(name)) return { kind: "blank" };
    if (facts.startDirs.some((folder) => inside(path, folder))) return { kind: "blank" };
    if (sites.has(dir) && (path.endsWith(".pth") || startupModule.test(name))) return { kind: "blank" };
    if (libraries.has(path) && path.endsWith(".zip")) return { kind: "blank" };
    if (isCache(path)) return { kind: "blank" };
    const at = facts.pathDirs.indexOf(dir);
    if (at >= 0 && (judgingName(name) || runnerPrograms.has(name))) {
      const target = firstOnPath.get(name);
      if (target === undefined && runnerPrograms.has(name) && more.reach.words.has(name)) return { kind: "blank" };
      if (target !== undefined && facts.pathDirs.indexOf(posix.dirname(target)) > at) return { kind: "shadow", target };
    }
    if (ways.has(path)) return { kind: "look" };
    return { kind: "carry" };
  };

  const workdir = more.workdir ?? facts.workdir;
  const pythonPath = (facts.env.PYTHONPATH ?? "").split(":").filter((dir) => dir.startsWith("/"));
  return {
    judges,
    leadsOn: (path) => ways.has(path),
    homes,
    fronts: [...new Set([workdir, ...more.reach.workingDirectories, ...pythonPath, ...facts.pathDirs])],
    treat: (change) => {
      if (change.kind === "added") return added(change.path);
      // What is deleted here is made or fetched again.
      if (change.kind === "deleted" && (isCache(change.path) || configured(change.path, caches))) return { kind: "carry" };
      if (judges(change.path)) return { kind: "restore" };
      return ways.has(change.path) ? { kind: "look" } : { kind: "carry" };
    },
  };
};
