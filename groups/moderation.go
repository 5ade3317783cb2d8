package groups

import (
	"bytes"
	"fmt"
	"strings"

	"mutuals/identity/wire"
)

const (
	// MaxReason is the longest reason of an act in bytes: a paragraph.
	MaxReason = 1 << 10
	// MaxModerated bounds the acts one reason is for: a branch removed at once is
	// no more people than a group has.
	MaxModerated = MaxCap + MaxWaitlist
)

// Moderation says why its author removed somebody, gave a role or changed the
// rules. It is content, so only those who may read the group see it; it counts
// when the account that wrote it wrote all the operations it names, they are
// acts of rank and in the past of the message's control heads (timeline T2).
// Evolution: never.
type Moderation struct {
	_      struct{}    `cbor:",toarray"`
	Ops    []wire.OpID // ascending
	Reason string
}

// Check tells whether m may be sent or shown; the error wraps ErrContent.
func (m Moderation) Check() error {
	switch {
	case len(m.Ops) == 0 || len(m.Ops) > MaxModerated:
		return fmt.Errorf("%w: a reason for %d acts, want 1 to %d", ErrContent, len(m.Ops), MaxModerated)
	case strings.TrimSpace(m.Reason) == "":
		return fmt.Errorf("%w: an empty reason", ErrContent)
	case len(m.Reason) > MaxReason:
		return fmt.Errorf("%w: a reason of %d bytes, at most %d", ErrContent, len(m.Reason), MaxReason)
	}
	for i := 1; i < len(m.Ops); i++ {
		if bytes.Compare(m.Ops[i-1][:], m.Ops[i][:]) >= 0 {
			return fmt.Errorf("%w: act %d out of order", ErrContent, i)
		}
	}
	return nil
}

// Encode gives the payload of kind ContentModeration.
func (m Moderation) Encode() wire.Raw { return wire.Marshal(m) }

// DecodeModeration reads a payload of kind ContentModeration; the error wraps
// ErrContent.
func DecodeModeration(payload wire.Raw) (Moderation, error) {
	var m Moderation
	if err := wire.Unmarshal(payload, &m); err != nil {
		return Moderation{}, fmt.Errorf("%w: %v", ErrContent, err)
	}
	return m, m.Check()
}
