#!/usr/bin/env bash
# omniwitness (transparency-dev/witness, Go): one key that it cannot read makes a whole list of logs unreadable, and of two keys of
# one log it keeps the first.
#
# A list of logs (`logs/v0` of the witness network) has one key for each log. `ParsePublicWitnessConfig` fails for the whole list
# where one key is of a type that it does not know. A second item with the same origin is read, but the store has `INSERT OR IGNORE`
# by origin: the log stays known by its first key alone. So a list cannot offer keys of two kinds for one log, and one with a new kind
# of key shuts out older witnesses.
#
# Seen on Go 1.26:
#   two keys of one log: 2 items, of which it keeps the one of type 1
#   a key of type 20: the list is refused
set -euo pipefail
cd "$(mktemp -d)"
cat >main.go <<'GO'
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/transparency-dev/witness/config"
	"github.com/transparency-dev/witness/persistence/sqlite"
)

func key(name string, kind byte, public []byte) string {
	typed := append([]byte{kind}, public...)
	id := sha256.Sum256(append([]byte(name+"\n"), typed...))
	return fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(typed))
}

func parse(keys ...string) ([]config.Log, error) {
	list := "logs/v0\n"
	for _, k := range keys {
		list += "\nvkey " + k + "\nqpd 86400\ncontact somebody\n"
	}
	return config.ParsePublicWitnessConfig(strings.NewReader(list))
}

func main() {
	ctx := context.Background()
	one, _, _ := ed25519.GenerateKey(rand.Reader)
	two, _, _ := ed25519.GenerateKey(rand.Reader)
	logs, err := parse(key("log.example/a", 1, one), key("log.example/a", 4, two))
	if err != nil {
		panic(err)
	}
	store, _, err := sqlite.New(ctx, sqlite.Opts{Path: "state.db"})
	if err != nil {
		panic(err)
	}
	if err := store.AddLogs(ctx, logs); err != nil {
		panic(err)
	}
	kept, _, err := store.Log(ctx, "log.example/a")
	if err != nil {
		panic(err)
	}
	raw, _ := base64.StdEncoding.DecodeString(strings.SplitN(kept.VKey, "+", 3)[2])
	fmt.Printf("two keys of one log: %d items, of which it keeps the one of type %d\n", len(logs), raw[0])
	if _, err := parse(key("log.example/a", 1, one), key("log.example/b", 0x20, two)); err != nil {
		fmt.Println("a key of type 20: the list is refused")
	} else {
		fmt.Println("a key of type 20: the list is read")
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/transparency-dev/witness@v0.0.0-20260720115447-2e1c6971d19e >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
out=$(go run .)
echo "$out"
[ "$out" = 'two keys of one log: 2 items, of which it keeps the one of type 1
a key of type 20: the list is refused' ] || { echo changed; exit 1; }
