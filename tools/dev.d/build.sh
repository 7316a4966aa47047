if wants_help "$@"; then
  cat <<'TEXT'
usage: tools/dev build [PRESET] [TARGET...]
Configures and builds a preset: dev (the default), release, asan, tsan. Programs land in build/PRESET/bin/.
TEXT
  exit 0
fi
preset=${1:-dev}
check_preset "$preset"
shift $(($# > 0 ? 1 : 0))
case "$preset" in
  release) need build ;;
  *) need build test ;;
esac
configure "$preset"
compile "$preset" "$@"
stage_times
say "programs: build/$preset/bin/"
