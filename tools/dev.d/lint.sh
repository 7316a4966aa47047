if wants_help "$@"; then
  cat <<'TEXT'
usage: tools/dev lint
Runs the checks of tests/structure that need no build: layers, format, generated files, links, texts, tables.
TEXT
  exit 0
fi
command -v clang-format-14 >/dev/null || need test
failed=0
for check in selftest layers format generated links text planted_bugs invariants; do
  "$python" tests/structure/check.py "$check" || failed=1
done
exit "$failed"
