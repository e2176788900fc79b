#!/usr/bin/env bash
# OpenTelemetry JS (otlp-transformer 0.301.0): one log record says different things as OTLP/JSON and as OTLP/protobuf.
#
# A whole double beyond 64 bits, such as 2 ** 64, becomes `intValue` in JSON, though the field is an int64 and a receiver
# that follows proto3 JSON must refuse it; in protobuf it is a doubleValue. NaN and Infinity become `doubleValue: null` in
# JSON (proto3 JSON: "NaN", "Infinity"), so the value is lost on the way; protobuf keeps them. Whoever hashes what arrives
# gets other evidence by the encoding alone.
#
# Seen on Node 24:
#   json: {"big":{"intValue":18446744073709552000},"inf":{"doubleValue":null},"nan":{"doubleValue":null}}
#   protobuf: big double 000000000000f043, nan double 000000000000f87f, inf double 000000000000f07f
set -euo pipefail
cd "$(mktemp -d)"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @opentelemetry/otlp-transformer@0.301.0 @opentelemetry/sdk-logs@3.1.0
cat >run.mjs <<'JS'
import { JsonLogsSerializer, ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer';
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
const exporter = new InMemoryLogRecordExporter();
const provider = new LoggerProvider({ processors: [new SimpleLogRecordProcessor({ exporter })] });
provider.getLogger('x').emit({ body: 'b', attributes: { big: 2 ** 64, inf: Number.POSITIVE_INFINITY, nan: Number.NaN } });
await provider.forceFlush();
const records = exporter.getFinishedLogRecords();
const json = JSON.parse(new TextDecoder().decode(JsonLogsSerializer.serializeRequest(records)));
const { attributes } = json.resourceLogs[0].scopeLogs[0].logRecords[0];
console.log(`json: ${JSON.stringify(Object.fromEntries(attributes.map(({ key, value }) => [key, value])))}`);
const hex = Buffer.from(ProtobufLogsSerializer.serializeRequest(records)).toString('hex');
// KeyValue { key = 1, value = 2 { double_value = 4: wire tag 0x21 } }
const double = (name) => new RegExp(`${Buffer.from(name).toString('hex')}120921([0-9a-f]{16})`).exec(hex)?.[1] ?? 'none';
console.log(`protobuf: ${['big', 'nan', 'inf'].map((name) => `${name} double ${double(name)}`).join(', ')}`);
JS
out=$(node run.mjs)
echo "$out"
grep -q '"big":{"intValue":18446744073709552000},"inf":{"doubleValue":null},"nan":{"doubleValue":null}' <<<"$out" || { echo 'changed: JSON'; exit 1; }
grep -q 'big double 000000000000f043, nan double 000000000000f87f, inf double 000000000000f07f' <<<"$out" || { echo 'changed: protobuf'; exit 1; }
