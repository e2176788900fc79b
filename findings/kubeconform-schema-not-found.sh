#!/usr/bin/env bash
# kubeconform 0.8.0 (Go): a schema that is found and cannot be compiled is reported as not found, with `-debug` too.
#
# The validator goes on to the next schema location when a schema does not compile, for example because a `$ref` in it leads
# nowhere, and ends with "could not find schema". So the location looks wrong where the schema is: the schemas in
# kubernetes-validate (PyPI) have a `$id` and refer to `/api/_definitions.json`, and need both changed.
#
# Seen on Go 1.26:
#   with a reference that leads nowhere: could not find schema for ConfigMap
#   with the referred file: Valid: 1
set -euo pipefail
cd "$(mktemp -d)"
GOBIN=$PWD go install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
mkdir schemas
echo '{"properties": {"metadata": {"$ref": "absent.json"}}}' >schemas/configmap-v1.json
check() {
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: x }\n' |
    ./kubeconform -debug -summary -schema-location "$PWD/schemas/{{ .ResourceKind }}{{ .KindSuffix }}.json" || true
}
without=$(check)
echo '{"type": "object"}' >schemas/absent.json
with=$(check)
out="with a reference that leads nowhere: $(grep -o 'could not find schema for ConfigMap' <<<"$without")
with the referred file: $(grep -o 'Valid: 1' <<<"$with")"
echo "$out"
[ "$out" = "with a reference that leads nowhere: could not find schema for ConfigMap
with the referred file: Valid: 1" ] || { echo changed; exit 1; }
