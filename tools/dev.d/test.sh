if wants_help "$@"; then
  cat <<'TEXT'
usage: tools/dev test [--quick | --judges] [ctest arguments]
Builds the dev preset and runs the tests with ctest, two at a time. The output ends with ctest's own closing lines, and
the exit code is ctest's.
  --quick    only the tests that need no server and no other compiler: none labelled slow, judge or fuzz
  --judges   only those where foreign programs judge (label judge)
For example: tools/dev test -R region          the tests whose name has "region"
             tools/dev test -L structure       the checks of the sources themselves
TEXT
  exit 0
fi
declare -a select=(-LE '^nightly-only$')
case "${1:-}" in
  --quick) select=(-LE '^(slow|judge|fuzz|nightly-only)$'); shift ;;
  --judges) select=(-L '^judge$'); shift ;;
esac
need build test
configure dev
compile dev
stage_times
heartbeat test
status=0
ctest --test-dir build/dev --output-on-failure --no-tests=error --parallel 2 "${select[@]}" "$@" </dev/null || status=$?
stop_heartbeat
exit "$status"
