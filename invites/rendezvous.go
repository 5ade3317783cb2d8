package invites

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Day is the number of whole UTC days since 1970 at t.
func Day(t time.Time) uint32 { return uint32(t.Unix() / 86400) }

// RendezvousKey is where the lobby's provider records lie on a day:
// SHA-256(rdv || u32be day). Who does not hold the code cannot link two days.
func RendezvousKey(rdv [32]byte, day uint32) [32]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint32(rdv[:], day))
}

// RendezvousKeys are those of yesterday, today and tomorrow: clocks differ.
func RendezvousKeys(rdv [32]byte, now time.Time) [3][32]byte {
	d := Day(now)
	return [3][32]byte{RendezvousKey(rdv, d-1), RendezvousKey(rdv, d), RendezvousKey(rdv, d+1)}
}
