import type { Listener } from "./sandbox.js";

/** Prints both tables, then who holds which socket. As root without ptrace rights only processes of its own uid can be read. */
export const listenersScript =
  'cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; echo ==; for p in /proc/[0-9]*; do l=$(ls -l "$p/fd" 2>/dev/null | grep -o "socket:\\[[0-9]*\\]" | tr "\\n" " "); [ -z "$l" ] && continue; echo "${p#/proc/} $l"; tr "\\0\\n" "  " <"$p/cmdline"; echo; done';

interface Socket {
  port: number;
  uid: string;
  inode: string;
}

const listening = "0A";

/** Listening sockets of /proc/net/tcp and tcp6. */
export const parseSockets = (text: string): Socket[] =>
  text
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => /^\d+:$/.test(fields[0] ?? "") && fields[3] === listening)
    .map((fields) => ({
      port: Number.parseInt(fields[1]!.slice(fields[1]!.lastIndexOf(":") + 1), 16),
      uid: fields[7]!,
      inode: fields[9]!,
    }));

/** Which process holds which socket inode, from the second half of {@link listenersScript}. */
export const parseHolders = (text: string): Map<string, { pid: number; command: string }> => {
  const holders = new Map<string, { pid: number; command: string }>();
  const lines = text.split("\n");
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const pid = Number.parseInt(lines[at]!, 10);
    for (const [, inode] of lines[at]!.matchAll(/socket:\[(\d+)\]/g)) {
      if (!holders.has(inode!)) holders.set(inode!, { pid, command: lines[at + 1]!.trim() });
    }
  }
  return holders;
};

/**
 * What listens. Asks once as root, then as each user whose sockets stayed without a process; a socket whose process cannot
 * be found has pid 0. The same port on several addresses is one listener.
 * @param ask runs {@link listenersScript} as a user
 */
export const findListeners = async (ask: (user: string) => Promise<string>): Promise<Listener[]> => {
  const [tables = "", found = ""] = (await ask("0")).split("==\n");
  const sockets = parseSockets(tables);
  const holders = parseHolders(found);
  for (const uid of new Set(sockets.filter((socket) => !holders.has(socket.inode)).map((socket) => socket.uid))) {
    if (uid === "0") continue;
    for (const [inode, holder] of parseHolders((await ask(uid)).split("==\n")[1] ?? "")) holders.set(inode, holder);
  }
  const listeners = new Map<string, Listener>();
  for (const socket of sockets) {
    const holder = holders.get(socket.inode) ?? { pid: 0, command: "" };
    listeners.set(`${holder.pid}:${socket.port}`, { pid: holder.pid, port: socket.port, command: holder.command });
  }
  return [...listeners.values()].sort((a, b) => a.port - b.port);
};
