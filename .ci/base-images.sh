#!/usr/bin/env bash
# Makes stand-ins, from this machine's Debian packages, for the base images that example and fixture tasks name and that are missing here.
# An existing tag is never touched. A stand-in has Debian's own versions, whatever its tag says: under "python:3.12-slim" stands the Python
# of this Debian release (3.11 on Debian 12). Each carries the label spark-skills.stand-in, so that nobody takes it for the real image.
#
#   base-images.sh [IMAGE…]     default: every FROM and docker_image of examples/ and test/fixtures/, and the tests' own sandbox-base:py
#
# Exits non-zero, with the reason, when Docker cannot run or an image could not be made.
set -uo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
say() { printf 'base-images: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

command -v docker >/dev/null || fail "the docker command is missing: run .ci/docker-up.sh first"
docker version --format '{{.Server.Version}}' >/dev/null 2>&1 || fail "no Docker engine answers: run .ci/docker-up.sh first"

# Names that tasks want, without build stages, scratch and variables; sandbox-base:py is what the integration tests run in.
wanted() {
  local froms stages
  froms=$(grep -rhiE '^[[:space:]]*FROM[[:space:]]' "$root/examples" "$root/test/fixtures" --include=Dockerfile 2>/dev/null | sed -E 's/^[[:space:]]*[A-Za-z]+[[:space:]]+(--[a-z]+=[^[:space:]]+[[:space:]]+)*//')
  stages=$(sed -nE 's/.*[[:space:]][Aa][Ss][[:space:]]+([^[:space:]]+).*/\1/p' <<<"$froms")
  { sed 's/[[:space:]].*//' <<<"$froms"
    grep -rhE '^[[:space:]]*docker_image[[:space:]]*=' "$root/examples" "$root/test/fixtures" --include=task.toml 2>/dev/null | sed -E 's/.*=[[:space:]]*"([^"]*)".*/\1/'
    echo sandbox-base:py
  } | grep -vE '^(|scratch|.*\$.*)$' | grep -vxF -e "${stages:-scratch}" | sort -u
}

# Only names for which Debian's packages are an honest stand-in; anything else is left to whoever runs the task.
can_stand_in() { [[ $1 =~ ^(docker\.io/)?(library/)?(python:3[a-z0-9.-]*|debian:[a-z0-9.-]+|ubuntu:[a-z0-9.-]+)$|^sandbox-base:py$ ]]; }

packages="base-files base-passwd bash coreutils dash debianutils diffutils findutils gawk grep gzip hostname libc-bin login mawk ncurses-base passwd procps python3 python3-pytest python3-venv sed tar util-linux"

fetch_packages() {
  # As if nothing were installed: the resolver then names every package that the image needs, with this machine's lists.
  apt-get -qq -y --download-only -o Dir::State::status=/dev/null -o APT::Install-Recommends=0 -o Dir::Cache::archives="$1" -o APT::Sandbox::User=root \
    -o Debug::NoLocking=1 install $packages >"$work/apt.log" 2>&1
}

# Unpacks the packages without their installation scripts and does by hand what those would do for a sandbox.
make_root() {
  local tree=$1 debs=$2 directory
  mkdir -p "$tree"/{usr/bin,usr/sbin,usr/lib,usr/lib64,usr/local/bin,etc,dev,proc,sys,run,tmp,var/tmp,root,home}
  for directory in bin sbin lib lib64; do ln -s "usr/$directory" "$tree/$directory"; done
  chmod 1777 "$tree/tmp" "$tree/var/tmp"
  local package
  for package in "$debs"/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$tree" --keep-directory-symlink --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' || return 1
  done
  sed 's#^root:\*\?:\(.*\):[^:]*$#root:x:\1:/bin/bash#; s#^root::\(.*\):[^:]*$#root:x:\1:/bin/bash#' "$tree/usr/share/base-passwd/passwd.master" >"$tree/etc/passwd"
  cp "$tree/usr/share/base-passwd/group.master" "$tree/etc/group"
  echo 'agent:x:1000:1000::/home/agent:/bin/bash' >>"$tree/etc/passwd"
  echo 'agent:x:1000:' >>"$tree/etc/group"
  install -d -o 1000 -g 1000 "$tree/home/agent"
  ln -sf mawk "$tree/usr/bin/awk"
  ln -sf which.debianutils "$tree/usr/bin/which"
  ln -sf python3 "$tree/usr/bin/python"
  # The real image has its interpreter here, and scripts name it.
  ln -sf /usr/bin/python3 "$tree/usr/local/bin/python3"
  ldconfig -r "$tree" || return 1
  # Compiled caches take a second off every start of the test runner.
  chroot "$tree" /usr/bin/python3 -m compileall -q -j 0 /usr/lib/python3 /usr/lib/python3.[0-9]* >/dev/null 2>&1
  return 0
}

build_layer() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "no Debian packages here to make stand-ins from: pull ${missing[*]} instead"
  [ "$(id -u)" = 0 ] || fail "only root can make stand-ins (file owners): run as root, or pull ${missing[*]}"
  mkdir -p "$work/debs/partial"
  if ! fetch_packages "$work/debs"; then
    apt-get -qq update >/dev/null 2>&1
    fetch_packages "$work/debs" || fail "packages could not be fetched: $(tail -n 1 "$work/apt.log")"
  fi
  make_root "$work/root" "$work/debs" || fail "packages could not be unpacked"
  version=$("$work/root/usr/bin/python3" -c 'import platform; print(platform.python_version())' 2>/dev/null || chroot "$work/root" /usr/bin/python3 -c 'import platform; print(platform.python_version())')
  tar -C "$work/root" --numeric-owner -c . >"$work/root.tar" || fail "the image could not be packed"
}

# sandbox-base:py has a work folder that belongs to the user 1000; the others are plain.
tag() {
  if [ "$1" = sandbox-base:py ]; then
    printf 'FROM %s\nRUN install -d -o 1000 -g 1000 /app /logs/verifier\nWORKDIR /app\n' "$id" | DOCKER_BUILDKIT=0 docker build --quiet --tag "$1" - >/dev/null
  else
    docker tag "$id" "$1"
  fi
}

images=("$@")
[ ${#images[@]} -gt 0 ] || mapfile -t images < <(wanted)
missing=()
for image in "${images[@]}"; do
  if docker image inspect "$image" >/dev/null 2>&1; then say "$image is there"
  elif can_stand_in "$image"; then missing+=("$image")
  else say "$image is missing and has no stand-in: tasks that name it need it pulled"; fi
done

if [ ${#missing[@]} -gt 0 ]; then
  work=$(mktemp -d) || exit 1
  trap 'rm -rf "$work"' EXIT
  build_layer
  id=$(docker import \
    --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin' --change 'ENV LANG=C.UTF-8' --change 'CMD ["bash"]' \
    --change "LABEL spark-skills.stand-in=\"Debian packages with Python $version, not the image that its tag names\"" "$work/root.tar") || fail "docker import failed"
  for image in "${missing[@]}"; do
    # Somebody may have made it meanwhile.
    docker image inspect "$image" >/dev/null 2>&1 && continue
    tag "$image" || fail "docker could not tag $image"
    say "$image made as a stand-in with Python $version"
  done
fi

for image in "${images[@]}"; do
  docker image inspect "$image" >/dev/null 2>&1 || continue
  docker run --rm --network none --entrypoint bash "$image" -c true >/dev/null 2>"${TMPDIR:-/tmp}/base-images.$$" || { reason=$(tail -n 1 "${TMPDIR:-/tmp}/base-images.$$"); rm -f "${TMPDIR:-/tmp}/base-images.$$"; fail "a container of $image does not start: $reason"; }
  rm -f "${TMPDIR:-/tmp}/base-images.$$"
done
