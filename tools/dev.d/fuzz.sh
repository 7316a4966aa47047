if wants_help "$@"; then
  cat <<'TEXT'
usage: tools/dev fuzz [--seconds N] [--no-install] [TARGET...]
Builds the fuzz targets (FOLDER/x_fuzz.cc) with AddressSanitizer and runs each over its seed corpus
(FOLDER/corpus/x_fuzz/), then N seconds (10) with random inputs. An input that fails is left in build/fuzz/ and named.
TEXT
  exit 0
fi
seconds=10
declare -a targets=()
while (($# > 0)); do
  case "$1" in
    --seconds) seconds=${2:-}; shift 2 || usage_error "--seconds needs a number" ;;
    --no-install) export AFDG_NO_INSTALL=1; shift ;;
    -*) usage_error "no flag is called '$1'" ;;
    *) targets+=("$1"); shift ;;
  esac
done
[[ "$seconds" =~ ^[0-9]+$ ]] || usage_error "--seconds needs a number, not '$seconds'"
mapfile -t sources < <(git ls-files -co --exclude-standard -- '*_fuzz.cc')
if ((${#targets[@]} == 0)); then
  for source_file in "${sources[@]}"; do targets+=("$(basename "$source_file" .cc)"); done
fi
if ((${#targets[@]} == 0)); then say "no fuzz targets in this version"; exit 0; fi
need build test
configure asan
compile asan "${targets[@]}"
for target in "${targets[@]}"; do
  found="build/fuzz/$target"
  mkdir -p "$found"
  mapfile -t seeds < <(find . -path ./build -prune -o -type d -path "*/corpus/$target" -print)
  stage "fuzz $target over its corpus" "build/asan/bin/$target" -runs=0 "$found" "${seeds[@]}"
  stage "fuzz $target for $seconds s" "build/asan/bin/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="$found/failed-" "$found" "${seeds[@]}"
done
stage_times
