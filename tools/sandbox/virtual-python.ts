import type { CustomCommand, ExecResult } from "just-bash";

/**
 * just-bash runs a script by indenting it into a wrapper of its own, reaches files only through a mount at /host, has no import
 * from the script's directory, no exact bytes on the standard streams and no subprocess (sandbox.md 6). This program, in front of
 * the user's, mends that; what stays missing: threads, sqlite3, ssl, ctypes, lzma, zoneinfo and packages from outside.
 */
const BOOTSTRAP = String.raw`
def _spark_main(spec):
    import sys, os, io, builtins, base64, json, types, traceback, linecache
    import importlib.machinery as machinery
    host = "/host"

    def mapped(path):
        if isinstance(path, os.PathLike):
            path = os.fspath(path)
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if isinstance(path, str) and path.startswith("/") and not path.startswith((host + "/", "/lib/python313.zip", "/lib/python3.13", "/proc", "/_jb_http")) and path != host:
            return host + path
        return path

    def logical(path):
        return path[len(host):] or "/" if isinstance(path, str) and (path == host or path.startswith(host + "/")) else path

    def redirect(owner, name, count=1, result=None):
        original = getattr(owner, name, None)
        if original is None:
            return
        def call(*args, **kwargs):
            args = tuple(mapped(a) if i < count else a for i, a in enumerate(args))
            value = original(*args, **kwargs)
            return result(value) if result else value
        setattr(owner, name, call)

    for name in ("open", "unlink", "remove", "chmod", "utime", "access", "lstat", "stat", "truncate", "rmdir", "mkdir", "chdir", "scandir"):
        redirect(os, name)
    for name in ("rename", "replace", "link"):
        redirect(os, name, 2)
    redirect(os, "readlink", 1, logical)
    make_link = os.symlink
    os.symlink = lambda src, dst, *a, **k: make_link(src, mapped(dst))
    list_directory = os.listdir
    os.listdir = lambda path=".": list_directory(mapped(path))
    os.path.lexists = lambda path: _exists(os.lstat, path)
    os.path.exists = lambda path: _exists(os.stat, path)
    def _exists(look, path):
        try:
            look(path)
        except (OSError, ValueError):
            return False
        return True
    redirect(builtins, "open")
    io.open = builtins.open
    redirect(io, "open_code")
    os.getuid = os.geteuid = os.getgid = os.getegid = lambda: 0
    real_path = os.path.realpath
    os.path.realpath = lambda path, **k: logical(real_path(mapped(path), **k))

    os.environ.clear()
    os.environ.update(spec["env"])
    sys.executable = "/usr/bin/python3"
    sys.dont_write_bytecode = True

    class Loader(machinery.SourceFileLoader):
        def get_data(self, path):
            with builtins.open(path, "rb") as file:
                return file.read()
        def path_stats(self, path):
            found = os.stat(path)
            return {"mtime": found.st_mtime, "size": found.st_size}

    class Finder:
        @staticmethod
        def find_spec(fullname, path=None, target=None):
            tail = fullname.rpartition(".")[2]
            for entry in sys.path if path is None else path:
                entry = os.path.abspath(entry or os.getcwd())
                if entry.startswith("/lib/python3"):
                    if path is None and entry.endswith(".zip") and fullname.partition(".")[0] in sys.stdlib_module_names:
                        return None
                    continue
                base = os.path.join(entry, tail)
                for file, places in ((base + "/__init__.py", [base]), (base + ".py", None)):
                    if os.path.isfile(file):
                        return importlib_util.spec_from_file_location(fullname, file, loader=Loader(fullname, file), submodule_search_locations=places)
                if os.path.isdir(base):
                    found = machinery.ModuleSpec(fullname, None, is_package=True)
                    found.submodule_search_locations = [base]
                    return found
            return None

    import importlib.util as importlib_util
    sys.meta_path.insert(2, Finder)
    paths = [p for p in sys.path if p.startswith("/lib/python3")]
    extra = [p for p in spec["env"].get("PYTHONPATH", "").split(":") if p]
    sys.path[:] = ([] if spec["first"] is None else [spec["first"]]) + extra + paths

    raw = sys.stdout
    class Sink(io.RawIOBase):
        def __init__(self, number):
            self.number, self.data = number, bytearray()
        def writable(self):
            return True
        def fileno(self):
            return self.number
        def write(self, data):
            self.data += data
            return len(data)
    out, err = Sink(1), Sink(2)
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(io.BytesIO(base64.b64decode(spec["stdin"]))), encoding="utf-8")
    sys.stdout = sys.__stdout__ = io.TextIOWrapper(io.BufferedWriter(out), encoding="utf-8", errors="strict", line_buffering=True)
    sys.stderr = sys.__stderr__ = io.TextIOWrapper(io.BufferedWriter(err), encoding="utf-8", errors="backslashreplace", write_through=True)
    low_write = os.write
    def write(fd, data):
        if fd in (1, 2):
            (sys.__stdout__ if fd == 1 else sys.__stderr__).flush()
            return (out if fd == 1 else err).write(data)
        return low_write(fd, data)
    os.write = write

    class HardExit(BaseException):
        pass
    def hard_exit(status):
        error = HardExit()
        error.status = status
        raise error
    os._exit = hard_exit

    _spark_subprocess(sys, os, io, base64, json)

    main = types.ModuleType("__main__")
    main.__builtins__ = builtins
    sys.modules["__main__"] = main
    sys.argv = spec["argv"]
    code = 0
    try:
        if spec["module"]:
            import runpy
            try:
                runpy.run_module(spec["module"], run_name="__main__", alter_sys=True)
            except ImportError as error:
                if not str(error).startswith("No module named") or spec["module"].partition(".")[0] not in str(error):
                    raise
                print("/usr/bin/python3: " + str(error), file=sys.stderr)
                code = 1
        else:
            source = base64.b64decode(spec["source"])
            if spec["file"]:
                main.__file__ = spec["file"]
            text = importlib_util.decode_source(source)
            linecache.cache[spec["name"]] = (len(text), None, text.splitlines(True), spec["name"])
            exec(compile(source, spec["name"], "exec", dont_inherit=True), main.__dict__)
    except HardExit as error:
        code = error.status
    except SystemExit as error:
        if isinstance(error.code, int):
            code = error.code & 255
        elif error.code is not None:
            print(error.code, file=sys.stderr)
            code = 1
    except BaseException as error:
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename in ("<sandbox>", "<frozen runpy>"):
            frames = frames.tb_next
        traceback.print_exception(type(error), error.with_traceback(frames), frames)
        code = 1
    import atexit
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()
        except (ValueError, AttributeError):
            pass
    def reply(tag, data):
        text = base64.b64encode(bytes(data)).decode()
        for at in range(0, len(text), 262144):
            raw.write(spec["nonce"] + tag + text[at:at + 262144] + "\n")
    reply("o", out.data)
    reply("e", err.data)
    raw.flush()
    return code


def _spark_subprocess(sys, os, io, base64, json):
    import subprocess
    import shlex
    http = sys.modules["jb_http"]

    class Popen:
        def __init__(self, args, bufsize=-1, executable=None, stdin=None, stdout=None, stderr=None, preexec_fn=None, close_fds=True, shell=False, cwd=None, env=None,
                     universal_newlines=None, startupinfo=None, creationflags=0, restore_signals=True, start_new_session=False, pass_fds=(), *, user=None, group=None,
                     extra_groups=None, encoding=None, errors=None, text=None, umask=-1, pipesize=-1, process_group=None):
            if isinstance(args, (str, bytes, os.PathLike)):
                words = [os.fsdecode(args)]
            else:
                words = [os.fsdecode(a) for a in args]
            self.args, self.pid, self.returncode = args, 4242, None
            self._command = words[0] if shell else " ".join(shlex.quote(w) for w in words)
            if not shell:
                program = words[0]
                missing = program if "/" in program else None
                if missing and not os.path.exists(os.path.join(cwd or os.getcwd(), program)):
                    raise FileNotFoundError(2, "No such file or directory", program)
            self._cwd = os.path.abspath(os.fspath(cwd)) if cwd else os.getcwd()
            self._env = dict(os.environ if env is None else env)
            self._text = bool(text or universal_newlines or encoding or errors)
            self._encoding, self._errors = encoding or "utf-8", errors or "strict"
            self._in, self._out, self._err, self._shell = stdin, stdout, stderr, shell
            self.stdin = self.stdout = self.stderr = None
            if stdin == subprocess.PIPE:
                pipe = io.BytesIO()
                process = self
                class Input(io.BufferedIOBase):
                    def writable(self): return True
                    def write(self, data): return pipe.write(data)
                    def close(self):
                        if not self.closed:
                            super().close()
                            process._start(pipe.getvalue(), None)
                self.stdin = io.TextIOWrapper(Input(), encoding=self._encoding, write_through=True) if self._text else Input()
            # A caller that gives a time limit gives it to communicate() or wait(), so nothing runs before.
            self._lazy = True
            if stdout == subprocess.PIPE and stdin != subprocess.PIPE:
                self.stdout = _Late(self, "stdout")
            if stderr == subprocess.PIPE and stdin != subprocess.PIPE:
                self.stderr = _Late(self, "stderr")

        def _start(self, data, timeout):
            if self.returncode is not None:
                return
            if data is None:
                if hasattr(self._in, "read"):
                    data = self._in.read()
                    data = data.encode() if isinstance(data, str) else data
                else:
                    data = b""
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            request = {"command": self._command, "cwd": self._cwd, "env": self._env, "stdin": base64.b64encode(data).decode(), "timeoutMs": None if timeout is None else timeout * 1000}
            reply = http.post("http://sandbox.invalid/exec", json=request).json()
            self._data = [base64.b64decode(reply["stdout"]), base64.b64decode(reply["stderr"])]
            if reply["timedOut"]:
                self.returncode = -9
                raise subprocess.TimeoutExpired(self.args, timeout, output=self._data[0] or None, stderr=self._data[1] or None)
            self.returncode = reply["exitCode"]
            if self.returncode == 127 and not self._shell and b"command not found" in self._data[1]:
                raise FileNotFoundError(2, "No such file or directory", self.args if isinstance(self.args, str) else self.args[0])
            if self._err == subprocess.STDOUT:
                self._data = [self._data[0] + self._data[1], b""]
            for number, target in ((0, self._out), (1, self._err)):
                if target in (subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT):
                    continue
                if target is None:
                    target = (sys.__stdout__, sys.__stderr__)[number]
                if isinstance(target, int):
                    os.write(target, self._data[number])
                elif hasattr(target, "buffer"):
                    target.flush()
                    target.buffer.write(self._data[number])
                    target.buffer.flush()
                else:
                    target.write(self._data[number])
                    target.flush()

        def _value(self, number, target):
            if target != subprocess.PIPE:
                return None
            data = self._data[number]
            return data.decode(self._encoding, self._errors).replace("\r\n", "\n") if self._text else data

        def communicate(self, input=None, timeout=None):
            if input is not None and isinstance(input, str):
                input = input.encode(self._encoding)
            self._start(input, timeout)
            return self._value(0, self._out), self._value(1, self._err)

        def wait(self, timeout=None):
            self._start(None, timeout)
            return self.returncode

        def poll(self):
            self._start(None, None)
            return self.returncode

        def send_signal(self, number):
            if self.returncode is None:
                self.returncode = -number

        def terminate(self): self.send_signal(15)
        def kill(self): self.send_signal(9)
        def __enter__(self): return self
        def __exit__(self, *error): return None

    class _Late:
        def __init__(self, process, name):
            self._process, self._number = process, ("stdout", "stderr").index(name)
            self._file = None
        def _open(self):
            if self._file is None:
                self._process._start(None, None)
                data = self._process._data[self._number]
                self._file = io.StringIO(data.decode(self._process._encoding, self._process._errors)) if self._process._text else io.BytesIO(data)
            return self._file
        def __getattr__(self, name): return getattr(self._open(), name)
        def __iter__(self): return iter(self._open())
        def close(self): pass
        def __enter__(self): return self
        def __exit__(self, *error): return None

    def run(*popenargs, input=None, capture_output=False, timeout=None, check=False, **kwargs):
        if capture_output:
            kwargs["stdout"] = kwargs["stderr"] = subprocess.PIPE
        process = Popen(*popenargs, **kwargs)
        out, err = process.communicate(input, timeout)
        if check and process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args, output=out, stderr=err)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    subprocess.Popen, subprocess.run = Popen, run
    os.system = lambda command: Popen(command, shell=True).wait() << 8
    def popen(command, mode="r", buffering=-1):
        return io.StringIO(run(command, shell=True, stdout=subprocess.PIPE, text=True).stdout)
    os.popen = popen
    os.getpid = lambda: 4241
    os.cpu_count = lambda: 1

raise SystemExit(_spark_main(_spark_spec))
`;

const encoded = (text: string | Uint8Array): string => Buffer.from(text).toString("base64");

/** What a `python3` command line asks for. */
type Invocation =
  | { kind: "code"; source: string; argv: string[] }
  | { kind: "module"; module: string; argv: string[] }
  | { kind: "file"; path: string; argv: string[] }
  | { kind: "stdin"; argv: string[] }
  | { kind: "version" }
  | { kind: "wrong"; message: string };

/** CPython's own options; the ones without effect in here are accepted. */
function readArguments(words: readonly string[]): { invocation: Invocation; isolated: boolean } {
  let isolated = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (!word.startsWith("-") || word === "-" || word === "--") {
      const rest = word === "--" ? words.slice(at + 1) : words.slice(at);
      if (rest.length === 0 || rest[0] === "-") return { invocation: { kind: "stdin", argv: ["-", ...rest.slice(1)] }, isolated };
      return { invocation: { kind: "file", path: rest[0]!, argv: [...rest] }, isolated };
    }
    if (word === "--version") return { invocation: { kind: "version" }, isolated };
    if (word.startsWith("--")) return { invocation: { kind: "wrong", message: `unknown option ${word}` }, isolated };
    for (let letter = 1; letter < word.length; letter++) {
      const option = word[letter]!;
      const value = word.slice(letter + 1) || undefined;
      if (option === "c" || option === "m") {
        const given = value ?? words[at + 1];
        const argv = words.slice(value === undefined ? at + 2 : at + 1);
        if (given === undefined) return { invocation: { kind: "wrong", message: `Argument expected for the -${option} option` }, isolated };
        return {
          invocation:
            option === "c"
              ? { kind: "code", source: given, argv: ["-c", ...argv] }
              : { kind: "module", module: given, argv: [given, ...argv] },
          isolated,
        };
      }
      if (option === "V") return { invocation: { kind: "version" }, isolated };
      if (option === "I" || option === "P") isolated = true;
      if (option === "W" || option === "X") {
        if (value === undefined) at++;
        break;
      }
      if (!"BbdEIiOPqRSsuvx".includes(option)) return { invocation: { kind: "wrong", message: `unknown option -${option}` }, isolated };
    }
  }
  return { invocation: { kind: "stdin", argv: [""] }, isolated };
}

/** `python3` as CPython's command line has it, over the interpreter that just-bash brings. */
export const createPythonCommand = (name: string): CustomCommand => ({
  name,
  trusted: true,
  async execute(args, context): Promise<ExecResult> {
    const { invocation, isolated } = readArguments(args);
    if (invocation.kind === "version")
      return (await context.origCommand?.(["--version"]).then(withoutBuild)) ?? failed(127, "python3: not available");
    if (invocation.kind === "wrong")
      return failed(2, `${invocation.message}\nusage: python3 [option] ... [-c cmd | -m mod | file | -] [arg] ...`);
    const stdin = Buffer.from(context.stdin as unknown as string, "latin1");
    const nonce = `${crypto.randomUUID()}`;
    const spec: Record<string, unknown> = {
      nonce,
      env: context.exportedEnv ?? Object.fromEntries(context.env),
      stdin: encoded(stdin),
      source: "",
      module: "",
      file: "",
      name: "<string>",
      argv: [],
      first: isolated ? null : "",
    };
    if (invocation.kind === "file") {
      const path = context.fs.resolvePath(context.cwd, invocation.path);
      const file = (await context.fs.exists(path)) && (await context.fs.stat(path)).isDirectory ? `${path}/__main__.py` : path;
      if (!(await context.fs.exists(file))) return failed(2, `python3: can't open file '${path}': [Errno 2] No such file or directory`);
      const shown = file === path ? invocation.path : `${invocation.path}/__main__.py`;
      const folder = (await context.fs.realpath(file)).replace(/\/[^/]*$/, "") || "/";
      Object.assign(spec, {
        source: encoded(await context.fs.readFileBuffer(file)),
        file: shown,
        name: shown,
        first: isolated ? null : folder,
      });
    } else if (invocation.kind === "code") Object.assign(spec, { source: encoded(invocation.source) });
    else if (invocation.kind === "module") Object.assign(spec, { module: invocation.module });
    else Object.assign(spec, { source: encoded(stdin), stdin: "", name: "<stdin>" });
    spec.argv = invocation.argv;
    const program = `import base64 as _spark_b64, json as _spark_json; exec(compile(_spark_b64.b64decode("${encoded(BOOTSTRAP)}"), "<sandbox>", "exec"), {"_spark_spec": _spark_json.loads(_spark_b64.b64decode("${encoded(JSON.stringify(spec))}"))})`;
    if (!context.origCommand) return failed(127, "python3: not available");
    return decoded(await context.origCommand(["-c", program]), nonce);
  },
});

const failed = (exitCode: number, message: string): ExecResult => ({ stdout: "", stderr: `${message}\n`, exitCode });
const withoutBuild = (result: ExecResult): ExecResult => ({ ...result, stdout: result.stdout.replace(/ \(Emscripten\)/, "") });

/** Takes the program's streams out of the bootstrap's reply lines; what stands outside of them is the interpreter's own last words. */
function decoded(result: ExecResult, nonce: string): ExecResult {
  const streams = { o: [] as Buffer[], e: [] as Buffer[] };
  const rest: string[] = [];
  for (const line of result.stdout.split("\n")) {
    if (!line.startsWith(nonce)) rest.push(line);
    else streams[line[nonce.length] as "o" | "e"].push(Buffer.from(line.slice(nonce.length + 1), "base64"));
  }
  // Standard error is always text in just-bash; standard output keeps its bytes.
  const stderr = Buffer.concat(streams.e).toString("utf8") + rest.join("\n").trim() + result.stderr;
  return { stdout: Buffer.concat(streams.o).toString("latin1"), stdoutKind: "bytes", stderr, exitCode: result.exitCode };
}
