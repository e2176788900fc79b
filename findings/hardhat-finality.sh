#!/usr/bin/env bash
# hardhat 3.17.0 (EDR 0.3.8): the newest block is final at once, so code that waits for finality is never tested there.
#
# The tags `safe` and `finalized` name the same block as `latest`, the block just mined included. Depth behind the head,
# reorganizations and "included, not final yet" do not exist; a state machine that mixes up the two passes all its tests.
# anvil lets the tags lag with `--slots-in-an-epoch`.
#
# Seen on Node 24, after 100 blocks: latest 0x65 safe 0x65 finalized 0x65
set -euo pipefail
cd "$(mktemp -d)"
npm init -y >/dev/null
npm pkg set type=module >/dev/null
npm install --silent --no-audit --no-fund hardhat@3.17.0
echo 'export default {};' >hardhat.config.js
cat >run.mjs <<'JS'
import hre from 'hardhat';
const { provider } = await hre.network.create();
await provider.request({ method: 'hardhat_mine', params: ['0x64'] });
await provider.request({ method: 'evm_mine', params: [] });
const told = [];
for (const tag of ['latest', 'safe', 'finalized']) {
  const { number } = await provider.request({ method: 'eth_getBlockByNumber', params: [tag, false] });
  told.push(`${tag} ${number}`);
}
console.log(told.join(' '));
process.exit(0);
JS
out=$(HARDHAT_DISABLE_TELEMETRY_PROMPT=true node run.mjs)
echo "$out"
[ "$out" = 'latest 0x65 safe 0x65 finalized 0x65' ] || { echo changed; exit 1; }
