# Stages with progress and times, packages, and CMake presets. Sourced by tools/dev before a verb.

started_at=$SECONDS
declare -a stage_names=() stage_seconds=()
jobs_max=${AFDG_JOBS:-$(nproc)}
python=/usr/bin/python3  # Debian's own: another one in PATH would lack Debian's modules

say() { printf '%s\n' "[$(printf '%4d' $((SECONDS - started_at))) s] $*"; }
die() { printf 'tools/dev: %s\n' "$*" >&2; exit "${dev_exit:-1}"; }
usage_error() { dev_exit=2 die "$*; see tools/dev ${verb} --help"; }

# wants_help "$@": true if the first argument asks for help.
wants_help() { [[ "${1:-}" == -h || "${1:-}" == --help ]]; }

heartbeat_pid=
# heartbeat NAME [LOG]: a line each 15 s while a stage runs, with the last progress mark of its log.
heartbeat() {
  local name=$1 log=${2:-} from=$SECONDS mark
  (
    trap 'exit 0' TERM
    while :; do
      sleep 15 >/dev/null 2>&1 </dev/null &
      wait $! || exit 0
      mark=
      if [[ -n "$log" ]]; then
        mark=$(tail -c 4000 "$log" 2>/dev/null | tr '\r' '\n' | grep -aoE '^(\[[0-9]+/[0-9]+\]|(Unpacking|Setting up) [^ ]+|Get:[0-9]+)' | tail -n 1 || true)
      fi
      say "$name: still running, $((SECONDS - from)) s${mark:+, $mark}"
    done
  ) &
  heartbeat_pid=$!
}
stop_heartbeat() {
  if [[ -n "$heartbeat_pid" ]]; then
    kill "$heartbeat_pid" 2>/dev/null || true
    wait "$heartbeat_pid" 2>/dev/null || true
    heartbeat_pid=
  fi
}

# stage NAME COMMAND...: runs it with its output in a log, says so, and shows the log's end if it fails.
stage() {
  local name=$1 from=$SECONDS log status=0
  shift
  mkdir -p "$ROOT/build/logs"
  log="$ROOT/build/logs/$(tr -c 'a-z0-9\n' '-' <<<"${name,,}").log"
  say "$name"
  : >"$log"
  heartbeat "$name" "$log"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  stop_heartbeat
  stage_names+=("$name")
  stage_seconds+=($((SECONDS - from)))
  if ((status != 0)); then
    local lines
    lines=$(wc -l <"$log")
    ((lines <= 120)) || echo "... (the first $((lines - 120)) of $lines lines are in ${log#"$ROOT"/})"
    tail -n 120 "$log"
    say "$name: failed with status $status"
    exit "$status"
  fi
  say "$name: done in $((SECONDS - from)) s"
}

# How long each stage took, in one block.
stage_times() {
  local i
  ((${#stage_names[@]} > 0)) || return 0
  echo "times:"
  for i in "${!stage_names[@]}"; do printf '  %5d s  %s\n' "${stage_seconds[$i]}" "${stage_names[$i]}"; done
  printf '  %5d s  %s\n' $((SECONDS - started_at)) "all together"
}

# packages_missing SET...: the packages of tools/dev.d/packages/SET that are not installed, one a line.
packages_missing() {
  local set installed
  installed=$(dpkg-query -W -f='${Package} ${db:Status-Abbrev}\n' 2>/dev/null | sed -n 's/ ii *$//p')
  for set in "$@"; do
    sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$ROOT/tools/dev.d/packages/$set"
  done | sort -u | grep -vxF -f <(printf '%s\n' "$installed") || true
}

as_root() {
  if [[ $(id -u) == 0 ]]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  elif command -v sudo >/dev/null; then
    sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
  else
    echo "not root, and there is no sudo: install these packages as root, then try again" >&2
    return 1
  fi
}

policy=/usr/sbin/policy-rc.d
policy_placed=no
remove_policy() {
  if [[ $policy_placed == yes ]]; then
    as_root rm -f "$policy"
    policy_placed=no
  fi
}

# Installs packages. Meanwhile no service of theirs may start: a redis that starts by itself would take a port.
install_packages() {
  local status=0
  local -a apt=(apt-get -y -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | as_root sh -c "cat > $policy && chmod 755 $policy" && policy_placed=yes
  fi
  as_root "${apt[@]}" update || { sleep 5; as_root "${apt[@]}" update; } || status=$?
  if ((status == 0)); then
    as_root "${apt[@]}" install --no-install-recommends "$@" || status=$?
  fi
  remove_policy
  return "$status"
}

# need SET...: makes sure that the packages of these sets are installed. Quick when nothing is missing.
need() {
  local -a missing
  if ! command -v dpkg-query >/dev/null; then
    say "not a Debian system: the libraries of tools/dev.d/packages/ must be there already"
    return 0
  fi
  mapfile -t missing < <(packages_missing "$@")
  if ((${#missing[@]} == 0)); then return 0; fi
  if [[ -n "${AFDG_NO_INSTALL:-}" ]]; then
    die "missing packages: ${missing[*]}; AFDG_NO_INSTALL is set, so install them yourself"
  fi
  say "to install: ${missing[*]}"
  stage "install ${#missing[@]} packages" install_packages "${missing[@]}"
}

check_preset() {
  case "$1" in
    dev | release | asan | tsan) ;;
    *) usage_error "no preset is called '$1' (dev, release, asan, tsan)" ;;
  esac
}

# configure PRESET [cmake arguments]
configure() {
  local preset=$1
  shift
  stage "configure $preset" cmake --preset "$preset" "$@"
}

# compile PRESET [TARGET...]
compile() {
  local preset=$1
  shift
  stage "build $preset${*:+ ($*)}" cmake --build --preset "$preset" --parallel "$jobs_max" ${1:+--target "$@"}
}

trap 'stop_heartbeat; remove_policy' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
