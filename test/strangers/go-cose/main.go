// Verifies the signatures of COSE receipts with github.com/veraison/go-cose. One line of standard input each: receipt, root
// and public key (32 bytes), in hex. Prints how many hold, and the first error.
package main

import (
	"bufio"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	cose "github.com/veraison/go-cose"
)

func verify(line string) error {
	var parts [3][]byte
	for i, field := range strings.Fields(line) {
		bytes, err := hex.DecodeString(field)
		if err != nil {
			return err
		}
		parts[i] = bytes
	}
	var message cose.Sign1Message
	if err := message.UnmarshalCBOR(parts[0]); err != nil {
		return err
	}
	algorithm, err := message.Headers.Protected.Algorithm()
	if err != nil {
		return err
	}
	verifier, err := cose.NewVerifier(algorithm, ed25519.PublicKey(parts[2]))
	if err != nil {
		return err
	}
	message.Payload = parts[1]
	return message.Verify(nil, verifier)
}

func main() {
	held, first := 0, "none"
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for lines.Scan() {
		if err := verify(lines.Text()); err == nil {
			held++
		} else if first == "none" {
			first = err.Error()
		}
	}
	fmt.Printf("%d %s\n", held, first)
}
