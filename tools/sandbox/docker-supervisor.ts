import { ageSweep } from "./docker-exec.js";

/** Quotes text as one word for a POSIX shell. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

// Names that belong to one bash process; saving them would raise errors or restore nonsense.
const unsaved =
  "BASH*|EUID|UID|PPID|SHELLOPTS|DIRSTACK|FUNCNAME|GROUPS|PIPESTATUS|_|__sb_*|__ok|RANDOM|SECONDS|LINENO|SRANDOM|EPOCH*|HOSTTYPE|MACHTYPE|OSTYPE|OPTIND|SHLVL|COMP_*|PWD";

/**
 * What each command's own bash sources first: `$1` our folder, `$2` state to start from, `$3` state to write, `$4` id, `$5` the
 * command. Builtins write their lists into the state file and read them back, so that saving forks nothing. State is saved
 * after the command, before its own EXIT trap; by our EXIT trap when it exits early.
 */
export const prelude = [
  "__sb_p=$2 __sb_f=$3 __sb_i=$4 __sb_c=$5",
  'compgen -e >|"$__sb_f"; mapfile -t __sb_e <"$__sb_f"; shopt -p >|"$__sb_f"; mapfile -t __sb_o <"$__sb_f"; : >|"$__sb_f"',
  "__sb_save() { " +
    [
      "[[ -z ${__sb_d-} ]] || return 0; __sb_d=1; set +eEuTxvf; builtin trap - ERR DEBUG RETURN",
      'compgen -v >|"$__sb_f"; mapfile -t __sb_n <"$__sb_f"; shopt -p >|"$__sb_f"; mapfile -t __sb_q <"$__sb_f"; declare -F >|"$__sb_f"; mapfile -t __sb_x <"$__sb_f"',
      "{ " +
        [
          "printf 'cd -- %q\\n' \"$PWD\"; umask -p",
          'for __sb_v in "${!__sb_q[@]}"; do [[ ${__sb_q[__sb_v]} == "${__sb_o[__sb_v]-}" ]] || printf \'%s\\n\' "${__sb_q[__sb_v]}"; done',
          "alias -p",
          'for __sb_v in "${__sb_x[@]}"; do [[ ${__sb_v##* } == __sb_save ]] && continue; declare -f -- "${__sb_v##* }"; [[ $__sb_v == "declare -"*x*" "* ]] && printf \'%s\\n\' "$__sb_v"; done',
          'for __sb_v in "${__sb_e[@]}"; do declare -p -- "$__sb_v" >/dev/null || printf \'unset -v %s\\n\' "$__sb_v"; done',
          `for __sb_v in "\${__sb_n[@]}"; do case $__sb_v in ${unsaved}) ;; *) declare -p -- "$__sb_v";; esac; done`,
          "printf '__ok=%s\\n' \"$__sb_i\"",
        ].join("; ") +
        '; } >|"$__sb_f"',
    ].join("; ") +
    "; } 2>/dev/null",
  '{ [[ -r $__sb_p ]] && . "$__sb_p"; } >/dev/null 2>&1 </dev/null',
  "builtin trap '{ set +xv; } 2>/dev/null; __sb_save' EXIT",
].join("\n");

// The command itself is one line of `-c`, or its error messages would name a file or say "line 4"; short, since `ps` shows it.
const commandLine = '. "$1/pre"; set --; eval "$__sb_c"; { __sb_r=$?; set +xv; } 2>/dev/null; __sb_save; builtin exit "$__sb_r"';

/** The command of the session's exec: takes {@link supervisor} and {@link prelude} from its input, each ended by NUL, so that `ps` inside stays readable. */
export const bootstrap = ["bash", "-c", 'IFS= read -r -d "" a; IFS= read -r -d "" b; eval "$a"', "spark-skills-shell"];

/** State texts longer than this stay in the container and are lost with a restart. */
const hostStateBytes = 500_000;

/**
 * The fork-server: one bash for a session, in one exec; `$b` is {@link prelude}. Requests on its stdin are
 * `R id nonce prev len\n<bytes>` (run) and `S id nonce slot len\n<bytes>` (take this state). Answers: `\0nonce\0` on stderr and
 * `\0nonce rc slot\0state\0` on stdout; slot `-`: nothing saved; state `=`: as before, `-`: not told, `+text`.
 * Its folder is fixed for a user, so a second supervisor stops the first, kills by age what it was running, and goes on
 * from the last saved state.
 */
export const supervisor = `for d in /dev/shm/.sb.$EUID /tmp/.sb.$EUID; do mkdir -m 700 "$d"; [ ! -L "$d" ] && [ -O "$d" ] && [ -w "$d" ] && break; d=; done 2>/dev/null
[ -n "$d" ] || exit 97
printf '%s\\n' "$b" >|"$d/pre" || exit 97
sweep() { ${ageSweep}
}
born() { { IFS= read -r s <"/proc/$1/stat"; } 2>/dev/null || return 1; s=\${s##*") "}; set -- $s; born=\${20}; }
if read -r old at <"$d/pid" && born "$old" && [ "$born" = "$at" ]; then kill -STOP "$old"; sweep child "$old"; kill -KILL "$old"; fi 2>/dev/null
born $$; echo "$$ $born" >|"$d/pid"; last=-; [ -r "$d/last" ] && read -r last <"$d/last"
exec 7<&0 8>&1 9>&2 </dev/null >/dev/null 2>/dev/null
set -m; trap : PIPE TERM HUP INT QUIT
saved=; st=
keep() { local LC_ALL=C t=$'\\n'"__ok=$1"$'\\n'; IFS= read -r -d '' st <"$d/st.$2"; [[ \${#st} -gt \${#t} && \${st: -\${#t}} == "$t" ]] || return 1; st=\${st:0:\${#st}-\${#t}}; }
printf '\\0READY %s %s\\0' "$$" "$last" >&8
while IFS=' ' read -r -u 7 op id nonce prev len rest; do
  cmd=; ((len)) && LC_ALL=C IFS= read -r -N "$len" -u 7 cmd
  if [[ $op == S ]]; then printf '%s\\n__ok=%s\\n' "$cmd" "$id" >|"$d/st.$prev"; echo "$prev" >|"$d/last"; printf '\\0%s\\0' "$nonce" >&9; printf '\\0%s 0 %s\\0=\\0' "$nonce" "$prev" >&8; continue; fi
  s=$((id%4)); [[ $s == "$prev" ]] && s=4; ((len>100000)) && { printf %s "$cmd" >|"$d/c.$s"; cmd=". $d/c.$s"; }
  : >|"$d/st.$s"
  "$BASH" --noprofile --norc -c ${quoted(commandLine)} bash "$d" "$d/st.$prev" "$d/st.$s" "$id" "$cmd" </dev/null >&8 2>&9 7<&- 8>&- 9>&-
  rc=$?; sv=-; out=-
  if keep "$id" "$s"; then sv=$s; echo "$s" >|"$d/last"; if [[ $st == "$saved" ]]; then out="="; elif ((\${#st}<${hostStateBytes})); then out=+$st; saved=$st; else saved=; fi; fi
  printf '\\0%s\\0' "$nonce" >&9; printf '\\0%s %s %s\\0%s\\0' "$nonce" "$rc" "$sv" "$out" >&8
done`;

/**
 * One command where the image has no bash: sh keeps directory, exported variables and umask in a file between the commands.
 */
export const statelessWrapper = (command: string, file: string): string =>
  `__sb_f=${quoted(file)}; [ -r "$__sb_f" ] && { . "$__sb_f"; cd -- "$__SB_PWD"; } >/dev/null 2>&1; unset __SB_PWD
trap '__sb_r=$?; { set +xv; } 2>/dev/null; (umask -S | sed "s/^/umask /" >"$__sb_f"; chmod 600 "$__sb_f"; export __SB_PWD="$PWD"; export -p >>"$__sb_f") 2>/dev/null; exit $__sb_r' EXIT
eval ${quoted(command)}`;
