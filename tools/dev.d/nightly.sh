if wants_help "$@"; then
  cat <<'TEXT'
usage: tools/dev nightly [ctest arguments]
Builds the dev preset and runs the tests labelled nightly at full length (AFDG_NIGHTLY=1: 200 SIGKILL cycles, long random
traces), then each fuzz target for ten minutes.
TEXT
  exit 0
fi
need build test
configure dev
compile dev
status=0
heartbeat nightly
AFDG_NIGHTLY=1 ctest --test-dir build/dev --output-on-failure --no-tests=error -L '^nightly(-only)?$' --timeout 14400 "$@" </dev/null || status=$?
stop_heartbeat
tools/dev fuzz --seconds "${AFDG_FUZZ_SECONDS:-600}" || status=$?
stage_times
exit "$status"
