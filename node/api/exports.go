package api

import (
	"time"

	"mutuals/identity/wire"
)

// ExportCreate asks for a group as lines of JSON that anybody can verify.
type ExportCreate struct {
	Group wire.GroupID `json:"group"`
	File  string       `json:"file" maxLength:"4096" doc:"absolute path on the node's machine, where nothing is yet"`
}

// ExportOpen names an export.
type ExportOpen struct {
	File string `json:"file" maxLength:"4096" doc:"absolute path on the node's machine"`
}

// Export is what an export holds.
type Export struct {
	File       string         `json:"file"`
	Bytes      int64          `json:"bytes"`
	Group      wire.GroupID   `json:"group"`
	At         time.Time      `json:"at" doc:"when it was made"`
	Account    wire.AccountID `json:"account" doc:"whose view it is"`
	Device     wire.DeviceID  `json:"device" doc:"which signed it"`
	Lines      int            `json:"lines"`
	Operations int            `json:"operations" doc:"that say who is in"`
	Members    int            `json:"members" doc:"and who was"`
	Messages   int            `json:"messages"`
	Locked     int            `json:"locked" doc:"messages whose key the exporter had not"`
	Pruned     int            `json:"pruned" doc:"messages the exporter keeps without what they say"`
	Incomplete int            `json:"incomplete" doc:"devices of which the first messages are not in it"`
}
