package identity

import (
	"bytes"
	"crypto/sha512"
	"fmt"
	"strings"

	"mutuals/identity/wire"
)

// SafetyNumber returns what two people read to each other to see that nobody
// stands between them: twelve groups of five digits, one space between, the
// same for (a, b) and (b, a) (I18).
func SafetyNumber(a, b wire.AccountID) string {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	h := sha512.New()
	h.Write([]byte(wire.LabelSafety))
	h.Write(a[:])
	h.Write(b[:])
	sum := h.Sum(nil)
	groups := make([]string, 12)
	for i := range groups {
		var n uint64
		for _, c := range sum[5*i : 5*i+5] {
			n = n<<8 | uint64(c)
		}
		groups[i] = fmt.Sprintf("%05d", n%100_000)
	}
	return strings.Join(groups, " ")
}
