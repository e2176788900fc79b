#!/usr/bin/env bash
# MinIO of February 2026 (Go): deleting a locked version is answered with 400 InvalidRequest, not with 403 AccessDenied.
#
# Amazon S3 documents 403. So what looks at the status alone takes a lock for a broken request, and calls the store faulty for as
# long as the lock holds.
#
# Seen with Go 1.26, Linux x64 (the build takes some minutes):
#   deleting a locked version: 400 InvalidRequest: Object is WORM protected and cannot be overwritten
set -euo pipefail
cd "$(mktemp -d)"
GOBIN=$PWD go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
export MINIO_ROOT_USER=finding MINIO_ROOT_PASSWORD=finding-secret
./minio server --quiet --address 127.0.0.1:18997 data >server.log 2>&1 &
trap 'kill $!' EXIT
at=http://127.0.0.1:18997/locked
ask() {
  curl -s --aws-sigv4 aws:amz:us-east-1:s3 --user "$MINIO_ROOT_USER:$MINIO_ROOT_PASSWORD" "$@"
}
for _ in $(seq 100); do ask -f -o made -X PUT -H 'x-amz-bucket-object-lock-enabled: true' $at && break; sleep 0.2; done
printf kept >object
ask -f -T object -H "content-md5: $(openssl md5 -binary object | base64)" -H 'x-amz-object-lock-mode: GOVERNANCE' \
  -H "x-amz-object-lock-retain-until-date: $(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)" $at/object
version=$(ask "$at?versions=" | grep -o '<VersionId>[^<]*' | cut -d '>' -f 2)
status=$(ask -o answer -w '%{http_code}' -X DELETE "$at/object?versionId=$version")
of() { grep -o "<$1>[^<]*" answer | cut -d '>' -f 2; }
out="deleting a locked version: $status $(of Code): $(of Message)"
echo "$out"
[ "$out" = 'deleting a locked version: 400 InvalidRequest: Object is WORM protected and cannot be overwritten' ]
