if wants_help "$@"; then
  cat <<'TEXT'
usage: tools/dev demo [flights|bank|compare] [the demo's flags]
Builds only what the demo needs, in the release preset, and runs it. flights is the default. Flags go to the demo:
`tools/dev demo flights --help` lists them.
TEXT
  exit 0
fi
name=flights
case "${1:-}" in
  "" | -*) ;;
  *) name=$1; shift ;;
esac
[[ "$name" =~ ^(flights|bank|compare)$ ]] || usage_error "no demo is called '$name' (flights, bank, compare)"
[[ -d "examples/$name" ]] || die "the demo '$name' is not part of this version; 'tools/dev demo flights' is"
need build
configure release
compile release "${name}_demo" afdg
stage_times
exec "build/release/bin/${name}_demo" "$@"
