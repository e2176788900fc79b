#!/usr/bin/env bash
# hardhat 3.17.0 (EDR 0.3.8) and geth 1.17.10 disagree about Amsterdam: a transaction that does nothing costs 21,000 gas on
# the one and 12,000 on the other.
#
# Hardhat's fork `amsterdam` has the new prices of storage (EIP-8037), but not the lower base cost of transactions (EIP-2780).
# What is measured on Hardhat is too dear by 9,000 gas a transaction, and a transfer to a fresh account far too cheap there:
# geth wants some 207,000 gas for it. Leave gas limits to the node's estimate.
#
# Seen on Node 24 and with Go 1.26, Linux x64 (geth's build takes some minutes):
#   hardhat: 21001 gas, to a fresh account 21001
#   geth: 12000 gas, to a fresh account 207391
set -euo pipefail
cd "$(mktemp -d)"
npm init -y >/dev/null
npm pkg set type=module >/dev/null
npm install --silent --no-audit --no-fund hardhat@3.17.0
echo 'export default {};' >hardhat.config.js
cat >run.mjs <<'JS'
import hre from 'hardhat';
const { provider } = await hre.network.create({ network: 'default', override: { hardfork: 'amsterdam' } });
const [from] = await provider.request({ method: 'eth_accounts', params: [] });
const gas = async (to, value) => Number(await provider.request({ method: 'eth_estimateGas', params: [{ from, to, value }] }));
console.log(`hardhat: ${await gas(from, '0x0')} gas, to a fresh account ${await gas(`0x${'77'.repeat(20)}`, '0x1')}`);
process.exit(0);
JS
hardhat=$(HARDHAT_DISABLE_TELEMETRY_PROMPT=true node run.mjs)
GOBIN=$PWD go install github.com/ethereum/go-ethereum/cmd/geth@v1.17.10
./geth --dev --override.amsterdam 0 --datadir data --nodiscover --maxpeers 0 --port 0 --ipcdisable --verbosity 1 \
  --http --http.addr 127.0.0.1 --http.port 18995 --authrpc.port 18994 >geth.log 2>&1 &
trap 'kill $!' EXIT
ask() {
  curl -s -H 'content-type: application/json' -d "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$1\",\"params\":$2}" http://127.0.0.1:18995
}
for _ in $(seq 50); do ask eth_chainId '[]' >/dev/null && break; sleep 0.2; done
from=$(ask eth_accounts '[]' | grep -o '0x[0-9a-f]\{40\}')
gas() {
  printf '%d' "$(ask eth_estimateGas "[{\"from\":\"$from\",\"to\":\"$1\",\"value\":\"$2\"}]" | grep -o '"0x[0-9a-f]*"' | tr -d '"')"
}
geth="geth: $(gas "$from" 0x0) gas, to a fresh account $(gas 0x7777777777777777777777777777777777777777 0x1)"
echo "$hardhat"
echo "$geth"
[ "$hardhat" = 'hardhat: 21001 gas, to a fresh account 21001' ] && [ "$geth" = 'geth: 12000 gas, to a fresh account 207391' ] || { echo changed; exit 1; }
