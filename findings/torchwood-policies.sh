#!/usr/bin/env bash
# torchwood v0.9.0 (Go): a policy of two logs accepts checkpoints of neither, and one ML-DSA witness makes a policy unreadable.
#
# Sigsum's policy format, which the package names as its model, lists logs as alternatives. `ParsePolicy` makes all of them
# necessary, each with its own origin, so no note can satisfy two `log` lines: one policy file a log. A `witness` line with
# a key of type 06 (ML-DSA-44, C2SP tlog-cosignature since April 2026) is an error for the whole file, even where the quorum
# does not need that witness. (v0.10.0 needs Go 1.27.)
#
# Seen on Go 1.26:
#   one log: <nil>
#   two logs: not satisfied
#   with an ML-DSA witness: line 2: invalid witness vkey
set -euo pipefail
cd "$(mktemp -d)"
cat >main.go <<'GO'
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	secret, key, _ := note.GenerateKey(rand.Reader, "log.example/a")
	_, other, _ := note.GenerateKey(rand.Reader, "log.example/b")
	signer, _ := note.NewSigner(secret)
	leaf := tlog.RecordHash([]byte("entry"))
	checkpoint := torchwood.Checkpoint{Origin: "log.example/a", Tree: tlog.Tree{N: 1, Hash: leaf}}
	signed, _ := note.Sign(&note.Note{Text: checkpoint.String()}, signer)
	told := func(lines ...string) string {
		policy, err := torchwood.ParsePolicy([]byte(strings.Join(lines, "\n") + "\n"))
		if err != nil {
			return strings.Join(strings.Fields(err.Error())[:5], " ")
		}
		if _, _, err := torchwood.VerifyCheckpoint(signed, policy); err != nil {
			return "not satisfied"
		}
		return "<nil>"
	}
	fmt.Println("one log:", told("log "+key, "quorum none"))
	fmt.Println("two logs:", told("log "+key, "log "+other, "quorum none"))
	// A key of 1,312 bytes; only its type matters here.
	typed := append([]byte{6}, bytes.Repeat([]byte{7}, 1312)...)
	id := sha256.Sum256(append([]byte("witness.example\n"), typed...))
	witness := fmt.Sprintf("witness.example+%x+%s", id[:4], base64.StdEncoding.EncodeToString(typed))
	fmt.Println("with an ML-DSA witness:", told("log "+key, "witness w "+witness, "quorum none"))
}
GO
go mod init finding >/dev/null 2>&1
go get filippo.io/torchwood@v0.9.0 golang.org/x/mod@v0.31.0 >/dev/null 2>&1
out=$(go run .)
echo "$out"
[ "$out" = 'one log: <nil>
two logs: not satisfied
with an ML-DSA witness: line 2: invalid witness vkey' ] || { echo changed; exit 1; }
