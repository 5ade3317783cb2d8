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
}
