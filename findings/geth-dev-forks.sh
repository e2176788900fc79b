#!/usr/bin/env bash
# geth 1.17.10: a chain of `geth --dev` has headers of Osaka, and prices fresh storage as Amsterdam does.
#
# The configuration of its development chain (params.AllDevChainProtocolChanges) sets no Amsterdam, but the fork after it
# (Bogota) from the first block on. Headers follow the former: no blockAccessListHash, no slotNumber. Gas follows the latter:
# a fresh slot costs about 110,000 (EIP-8037) instead of 22,100. With `--override.amsterdam 0` both are of Amsterdam. For Osaka alone:
# `geth --dev dumpgenesis`, without `bogotaTime`, into `geth init`, then `--dev` on that data.
#
# Seen with Go 1.26, Linux x64 (the build takes some minutes):
#   creating a contract that stores one slot: 165558 gas, blockAccessListHash in the header: no
set -euo pipefail
cd "$(mktemp -d)"
GOBIN=$PWD go install github.com/ethereum/go-ethereum/cmd/geth@v1.17.10
./geth --dev --datadir data --nodiscover --maxpeers 0 --port 0 --ipcdisable --verbosity 1 \
  --http --http.addr 127.0.0.1 --http.port 18999 --authrpc.port 18998 >geth.log 2>&1 &
trap 'kill $!' EXIT
ask() {
  curl -s -H 'content-type: application/json' -d "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$1\",\"params\":$2}" http://127.0.0.1:18999
}
for _ in $(seq 50); do ask eth_chainId '[]' >/dev/null && break; sleep 0.2; done
account=$(ask eth_accounts '[]' | grep -o '0x[0-9a-f]\{40\}')
# PUSH1 1, PUSH1 0, SSTORE
gas=$(ask eth_estimateGas "[{\"from\":\"$account\",\"data\":\"0x6001600055\"}]" | grep -o '"0x[0-9a-f]*"' | tr -d '"')
listed=$(ask eth_getBlockByNumber '["latest",false]' | grep -q blockAccessListHash && echo yes || echo no)
echo "creating a contract that stores one slot: $((gas)) gas, blockAccessListHash in the header: $listed"
[ "$((gas))" -gt 150000 ] && [ "$listed" = no ]
