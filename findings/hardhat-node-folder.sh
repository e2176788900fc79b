#!/usr/bin/env bash
# `hardhat node` (hardhat 3.17.0) wants to write into its project's folder, though it compiles nothing and its chain is in memory.
#
# In a folder that its user may not write to it prints `FileSystemAccessError: EACCES … mkdir …/artifacts` as an unexpected
# error, asks for a bug report, and serves all the same. In an image whose files belong to root, give it `artifacts` and `cache`.
#
# Seen on Node 24, Linux x64 (run as root, so that there is another user):
#   as its owner: no error, serves 0x7a69
#   as another user: EACCES, serves 0x7a69
set -euo pipefail
folder=$(mktemp -d)
cd "$folder"
chmod 755 .
npm init -y >/dev/null
npm pkg set type=module >/dev/null
npm install --silent --no-audit --no-fund hardhat@3.17.0
echo 'export default {};' >hardhat.config.js

# serve PORT USER: starts it as the user, says what came of it
serve() {
  HOME=$(mktemp -d) && export HOME && chmod 777 "$HOME"
  HARDHAT_DISABLE_TELEMETRY=true setpriv --reuid "$2" --regid "$2" --clear-groups \
    node node_modules/hardhat/dist/src/cli.js node --port "$1" >"$HOME/log" 2>&1 &
  local pid=$! id=''
  for _ in $(seq 60); do
    id=$(curl -s "http://127.0.0.1:$1" -H 'content-type: application/json' \
      -d '{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}' | sed 's/.*"result":"\([^"]*\)".*/\1/') || true
    [ -n "$id" ] && break
    sleep 0.5
  done
  sleep 5
  kill -0 $pid
  echo "$(grep -q EACCES "$HOME/log" && echo EACCES || echo 'no error'), serves $id"
  kill $pid
}
other=$(serve 18547 65534)
owner=$(serve 18546 0)
echo "as its owner: $owner"
echo "as another user: $other"
[ "$owner" = 'no error, serves 0x7a69' ] && [ "$other" = 'EACCES, serves 0x7a69' ]
