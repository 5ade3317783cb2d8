package api

import (
	"time"

	"mutuals/identity/wire"
)

// Device is one device of this account.
type Device struct {
	Device   wire.DeviceID `json:"device"`
	Number   uint64        `json:"number" doc:"counts the account's devices from 1; two made apart may share one"`
	This     bool          `json:"this" doc:"the device that answers"`
	Online   bool          `json:"online" doc:"linked with this one now"`
	MayLink  bool          `json:"may_link" doc:"may link further devices"`
	LinkedBy wire.DeviceID `json:"linked_by,omitzero" doc:"the device that linked it; absent: made from the words"`
	LinkedAt time.Time     `json:"linked_at"`
	Peer     string        `json:"peer" doc:"libp2p peer id"`

	RevokedAt     time.Time `json:"revoked_at,omitzero" doc:"ended then, for good"`
	RevokedReason string    `json:"revoked_reason,omitempty" enum:"lost,stolen,retired,other"`
}

// Reasons of a revocation.
const (
	RevokedLost    = "lost"
	RevokedStolen  = "stolen"
	RevokedRetired = "retired"
	RevokedOther   = "other"
)

// DeviceRevoke says why a device ends, and what stays.
type DeviceRevoke struct {
	Reason string                `json:"reason,omitempty" enum:"lost,stolen,retired,other"`
	Keep   *Array[wire.DeviceID] `json:"keep,omitempty" maxItems:"4" doc:"devices it linked that stay; without it all of them do"`
	Words  string                `json:"words,omitempty" maxLength:"512" doc:"the account's 24 words: the root signs instead of this device"`
}

// Only has no devices stay but these, which may be none.
func (in *DeviceRevoke) Only(stay []Device) {
	in.Keep = &Array[wire.DeviceID]{}
	for _, d := range stay {
		*in.Keep = append(*in.Keep, d.Device)
	}
}

// States of GroupRevoked.
const (
	RevokedDone    = "done"    // written, with a key that is not for the device
	RevokedPending = "pending" // waits until a member was heard: what the device said until then stays
)

// GroupRevoked tells how far a revocation came in one group.
type GroupRevoked struct {
	Group wire.GroupID `json:"group"`
	Name  string       `json:"name"`
	State string       `json:"state" enum:"done,pending"`
}

// DeviceRevoked is a device that ended, and where.
type DeviceRevoked struct {
	Device Device              `json:"device"`
	Groups Array[GroupRevoked] `json:"groups"`
}

// DeviceLinkCreate opens the door for one new device.
type DeviceLinkCreate struct {
	MayLink bool `json:"may_link,omitempty" doc:"let the new device link further ones"`
}

// DeviceLink is a door that is open: what the new device needs to find this one
// and knock. Whoever reads it can knock too, and is stopped by the number.
type DeviceLink struct {
	Text      string    `json:"text" doc:"the link code, to copy"`
	Link      string    `json:"link" doc:"mutuals:// form of the same"`
	QR        string    `json:"qr" doc:"what a QR code of it says"`
	ExpiresAt time.Time `json:"expires_at"`
	TriesLeft int       `json:"tries_left"`
	Task      Task      `json:"task" doc:"how it stands; number: type the number"`
}

// LinkNumber is what the person read on the new device.
type LinkNumber struct {
	Number string `json:"number" maxLength:"64" doc:"six digits, as the new device shows them"`
}

// LinkRequest makes this home a device of an account that exists.
type LinkRequest struct {
	Text string `json:"text" maxLength:"65536" doc:"the link code, or a text that holds one"`
}
