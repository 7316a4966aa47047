if wants_help "$@"; then
  cat <<'TEXT'
usage: tools/dev fmt [--check] [PATH...]
Formats the C++ sources (below PATH, or all of them) with clang-format 14, the version that the tests use.
--check changes nothing and fails if something would change.
TEXT
  exit 0
fi
mode=-i
if [[ "${1:-}" == --check ]]; then mode='--dry-run -Werror'; shift; fi
command -v clang-format-14 >/dev/null || need test
mapfile -t files < <(git ls-files -co --exclude-standard -- "${@:-.}" | grep -E '\.(h|cc)$' | while read -r f; do [[ -f $f ]] && echo "$f"; done)
((${#files[@]} > 0)) || die "no C++ sources below ${*:-the project}"
# shellcheck disable=SC2086
printf '%s\0' "${files[@]}" | xargs -0 -n 20 -P 2 clang-format-14 --style=file $mode
say "clang-format: ${#files[@]} files"
