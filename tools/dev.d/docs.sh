if wants_help "$@"; then
  cat <<'TEXT'
usage: tools/dev docs
Regenerates what is generated in docs/ (errors.md from base/errors.def, the APIs in kafka-support.md from kafka/api.def, topic-settings.md from base/topic_settings.def,
the tests named in invariants.md), then checks that every relative link in the documentation leads somewhere.
TEXT
  exit 0
fi
"$python" tools/gen_errors.py
"$python" tools/gen_kafka.py
"$python" tools/gen_settings.py
"$python" tools/gen_invariants.py
"$python" tests/structure/check.py links
