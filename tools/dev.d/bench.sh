if wants_help "$@"; then
  cat <<'TEXT'
usage: tools/dev bench [NAME [flags]]
Builds the release preset with its benchmarks and runs one; without a name, lists them. A benchmark is a program
bench/NAME_bench.cc or a script bench/NAME.sh or bench/NAME.py; scripts get BIN, the directory of the programs.
TEXT
  exit 0
fi
list_benches() {
  local file
  for file in bench/*_bench.cc bench/*.sh bench/*.py; do
    [[ -e "$file" && "$file" != bench/lab.py ]] || continue
    file=${file#bench/}
    file=${file%_bench.cc}
    file=${file%.sh}
    printf '  %s\n' "${file%.py}"
  done | sort -u
}
if (($# == 0)); then
  echo "benchmarks (tools/dev bench NAME):"
  list_benches
  exit 0
fi
name=$1
shift
script=
for file in "bench/$name.sh" "bench/$name.py"; do if [[ -f "$file" ]]; then script=$file; fi; done
if [[ -z "$script" && ! -f "bench/${name}_bench.cc" ]]; then
  usage_error "no benchmark is called '$name'; 'tools/dev bench' lists them"
fi
need build bench
configure release
compile release
stage_times
export BIN="$ROOT/build/release/bin"
case "$script" in
  *.sh) exec bash "$script" "$@" ;;
  *.py) exec "$python" "$script" "$@" ;;
  *) exec "$BIN/${name}_bench" "$@" ;;
esac
