package api

import (
	"time"

	"mutuals/identity/wire"
)

// Rights of a harbor.
const (
	RightStore   = "store"
	RightSponsor = "sponsor"
)

// HarborSelf names, where a harbor is looked for, another device of the own
// account.
const HarborSelf = "self"

// Harbor is a node that keeps a group for its members without being able to
// read it.
type Harbor struct {
	ID      wire.OpID      `json:"id" doc:"its appointment"`
	Group   wire.GroupID   `json:"group"`
	Device  wire.DeviceID  `json:"device" doc:"the key it writes with, in this group alone"`
	Peer    string         `json:"peer" doc:"its network id"`
	Account wire.AccountID `json:"account,omitzero" doc:"whose node it is, as far as this node knows"`
	Name    string         `json:"name,omitempty" doc:"what that account calls itself"`
	Rights  Array[string]  `json:"rights" doc:"store: keeps and serves; sponsor: lets people in by passcodes"`
	Quota   uint64         `json:"quota" doc:"bytes it may keep of the group; 0: as many as it gives"`
	Online  bool           `json:"online"`
	// Complete: the members may sleep, and whoever wakes finds it there.
	Complete bool      `json:"complete" doc:"it has said that everything this node has of the group is on its disk"`
	Since    time.Time `json:"since"`
}

// HarborCreate asks a node to be a group's harbor, and appoints it.
type HarborCreate struct {
	Group  wire.GroupID `json:"group"`
	Who    string       `json:"who" minLength:"1" maxLength:"8192" doc:"an account (mu1…), a pasted contact card, or self: another device of yours"`
	Rights []string     `json:"rights,omitempty" doc:"store, sponsor, or both; store unless given"`
	Quota  uint64       `json:"quota,omitempty" doc:"bytes it may keep of the group; 0: as many as it gives"`
}

// HarborPatch changes what is given.
type HarborPatch struct {
	Rights *[]string `json:"rights,omitempty"`
	Quota  *uint64   `json:"quota,omitempty"`
}

// Kept is what this node keeps for others, as their harbor.
type Kept struct {
	Offering bool             `json:"offering" doc:"whether it agrees to keep more groups (mutualsd --harbor)"`
	For      string           `json:"for" enum:"mutuals,self" doc:"whose groups"`
	Bytes    int64            `json:"bytes"`
	Quota    uint64           `json:"quota" doc:"bytes that all groups together may take"`
	Items    Array[KeptGroup] `json:"items"`
}

// KeptGroup is one group that this node keeps. It has no name here, nor have
// its members: a harbor cannot read them.
type KeptGroup struct {
	Group    wire.GroupID   `json:"group"`
	Harbor   wire.OpID      `json:"harbor,omitzero" doc:"the appointment; absent until it came"`
	For      wire.AccountID `json:"for" doc:"who asked this node"`
	InOffice bool           `json:"in_office"`
	Rights   Array[string]  `json:"rights"`
	Members  int            `json:"members"`
	Online   int            `json:"online" doc:"linked devices of members"`
	Bytes    int64          `json:"bytes"`
	Quota    uint64         `json:"quota" doc:"what the group's owner allows; 0: as much as this node gives"`
	Since    time.Time      `json:"since"`
}
