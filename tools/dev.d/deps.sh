if wants_help "$@"; then
  cat <<'TEXT'
usage: tools/dev deps [--list] [SET...]
Installs what is missing of the package sets: build (libraries and compiler), test (test frameworks, clang, Python
modules), bench (peers and profilers). Without a set: build and test. --list prints what is missing, and installs nothing.
TEXT
  exit 0
fi
list=no
declare -a sets=()
for argument in "$@"; do
  case "$argument" in
    --list) list=yes ;;
    build | test | bench) sets+=("$argument") ;;
    *) usage_error "no package set is called '$argument' (build, test, bench)" ;;
  esac
done
((${#sets[@]} > 0)) || sets=(build test)
if [[ $list == yes ]]; then
  packages_missing "${sets[@]}"
  exit 0
fi
need "${sets[@]}"
say "packages of ${sets[*]}: all there"
stage_times
