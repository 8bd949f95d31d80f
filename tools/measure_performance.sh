#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Measures what docs/performance.md shows and makes its tables and plots anew. As root, on a host that does
# nothing else.
#   tools/measure_performance.sh
#     SECONDS_EACH  of mppe and pipeline (default 120)     CPU  to run them on (default: the last)
#     BUILD         directory of the build (default build)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bench=${BUILD:-$root/build}/bin/pns-bench
cpu=${CPU:-$(($(nproc) - 1))}
seconds=${SECONDS_EACH:-120}
pages=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
wanted=720 # packet buffers and the records of a million sessions, 2 MiB each

results=$(mktemp -d)
before=$(cat "$pages")
# shellcheck disable=SC2317 # called by the trap
clean_up() {
  rm -rf "$results"
  echo "$before" >"$pages"
}
trap clean_up EXIT
if [ "$before" -lt "$wanted" ]; then
  echo "$wanted" >"$pages"
  [ "$(cat "$pages")" -ge "$wanted" ] || echo "only $(cat "$pages") of $wanted huge pages are to be had" >&2
fi

# A bench that fails takes nothing from the others: what was measured is kept.
failed=0
measure() {
  local name=$1
  shift
  if "$bench" "$name" "$@" --json "$results/$name.json"; then
    python3 -B "$root/tools/make_performance.py" --take "$results/$name.json"
  else
    echo "pns-bench $name failed: docs/performance/$name.json is as it was" >&2
    failed=1
  fi
}
measure mppe --cpu "$cpu" --seconds "$seconds"
measure pipeline --cpu "$cpu" --seconds "$seconds"
measure attack --cpu "$cpu"
measure scale
python3 -B "$root/tools/make_performance.py"
exit "$failed"
