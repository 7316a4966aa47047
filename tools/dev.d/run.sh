if wants_help "$@"; then
  cat <<'TEXT'
usage: tools/dev run [afdgd flags]
Builds the release server and runs it; without flags with --dev: temporary data and free ports, which it prints.
TEXT
  exit 0
fi
need build
configure release
compile release afdgd afdg
stage_times
(($# > 0)) || set -- --dev
exec "build/release/bin/afdgd" "$@"
