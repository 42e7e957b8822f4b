#!/usr/bin/env bash
# Makes a Docker engine answer on this machine: uses the one that is there, else installs and starts one (Debian, root).
# Exit code 0 and "DOCKER_HOST=…" as the last line of standard output; any other exit code: no engine, and standard error says why.
#
#   DOCKER_UP_SOCKET   socket to look at and to start the engine on   (default /var/run/docker.sock)
#   DOCKER_UP_STATE    folder for log, pid file and engine state      (default /var/tmp/spark-skills-docker)
set -uo pipefail

socket=${DOCKER_UP_SOCKET:-/var/run/docker.sock}
state=${DOCKER_UP_STATE:-/var/tmp/spark-skills-docker}
wait_seconds=20

say() { printf 'docker-up: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
answers() { [ -S "$socket" ] && [ "$(curl --silent --fail --max-time 2 --unix-socket "$socket" http://docker/_ping 2>/dev/null)" = OK ]; }
quiet_apt() { DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 "$@" >>"$state/apt.log" 2>&1; }

install_missing() {
  local wanted=()
  command -v curl >/dev/null || wanted+=(curl)
  command -v dockerd >/dev/null || wanted+=(docker.io)
  command -v docker >/dev/null || wanted+=(docker.io)
  command -v iptables >/dev/null || wanted+=(iptables)
  [ ${#wanted[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || fail "no engine, and no apt-get to install one: install Docker by hand"
  # The manual pages' trigger costs seconds and nobody reads them here.
  rm -f /var/lib/man-db/auto-update
  quiet_apt update || say "apt-get update failed; trying with the lists that are there"
  quiet_apt install --no-install-recommends "${wanted[@]}" || fail "could not install ${wanted[*]}: $(tail -n 1 "$state/apt.log")"
  # Debian 13 has the command line in a package of its own.
  command -v docker >/dev/null || quiet_apt install --no-install-recommends docker-cli || fail "the docker command is missing after the installation"
  say "installed ${wanted[*]}"
}

# One attempt with a storage driver; overlay2 needs a file system below that supports it, vfs works everywhere and copies.
start_with() {
  local driver=$1 pid
  rm -f "$state/dockerd.pid"
  setsid dockerd --host "unix://$socket" --storage-driver "$driver" --pidfile "$state/dockerd.pid" --exec-root "$state/exec" \
    --log-level warn >"$state/dockerd-$driver.log" 2>&1 </dev/null &
  pid=$!
  for _ in $(seq $((wait_seconds * 10))); do
    answers && { say "engine started with $driver"; return 0; }
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
  return 1
}

mkdir -p "$state" || exit 1
if command -v curl >/dev/null && answers; then
  say "an engine answers already"
else
  [ "$(id -u)" = 0 ] || fail "no engine answers on $socket, and only root can start one"
  install_missing
  if ! answers; then
    mkdir -p /sys/fs/cgroup
    mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup || fail "no control groups: containers cannot be limited here (is this itself a container without privileges?)"
    start_with overlay2 || start_with vfs || fail "the engine does not start: $(tail -n 2 "$state"/dockerd-vfs.log | tr '\n' ' ')"
  fi
fi
echo "DOCKER_HOST=unix://$socket"
