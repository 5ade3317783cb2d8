package api

import (
	"time"

	"mutuals/identity/wire"
)

// Person is somebody this account follows, is followed by, or shares a group
// with.
type Person struct {
	Account    wire.AccountID `json:"account"`
	Name       string         `json:"name" doc:"from the person's signed profile; empty until it came"`
	Nickname   string         `json:"nickname,omitempty" doc:"own name for the person"`
	Following  bool           `json:"following"`
	FollowsYou bool           `json:"follows_you"`
	Mutual     bool           `json:"mutual" doc:"both edges are here and verified"`
	Verified   bool           `json:"verified" doc:"safety number compared"`
	Delivered  bool           `json:"delivered" doc:"the person's device reports the own edge on its disk"`
	Blocked    bool           `json:"blocked"`
	Said       bool           `json:"said,omitempty" doc:"after a restore: others say that this account follows them; counts once it is confirmed"`
}

// FollowsConfirm names some of those this account is said to follow; none: all.
type FollowsConfirm struct {
	Accounts Array[wire.AccountID] `json:"accounts,omitempty" maxItems:"1000"`
}

// FollowRequest may carry the card of somebody not known yet.
type FollowRequest struct {
	Card string `json:"card,omitempty" maxLength:"16384" doc:"contact card, or any text that holds one"`
}

// Kinds of Request.
const (
	RequestFollow     = "follow"     // somebody follows, and is not followed back
	RequestGroup      = "group"      // somebody offers a seat in a group
	RequestJoin       = "join"       // somebody asks to be admitted to a group
	RequestOwnership  = "ownership"  // the owner offers the group
	RequestSuccession = "succession" // an admin proposes an owner, since there is none to be heard
)

// States of Request.
const (
	RequestWaiting  = "waiting"
	RequestAccepted = "accepted"
	RequestDeclined = "declined"
	RequestGone     = "gone" // taken back, answered by somebody else, or overtaken
)

// Request waits for this person's yes or no.
type Request struct {
	ID        string         `json:"id"`
	Kind      string         `json:"kind" enum:"follow,group,join,ownership,succession"`
	From      wire.AccountID `json:"from"`
	FromName  string         `json:"from_name,omitempty"`
	Group     wire.GroupID   `json:"group,omitzero"`
	GroupName string         `json:"group_name,omitempty" doc:"as the one who offers says"`
	Direct    bool           `json:"direct,omitempty" doc:"of a group: a conversation with nobody else"`
	Heir      wire.AccountID `json:"heir,omitzero" doc:"of a succession: who is to own the group"`
	HeirName  string         `json:"heir_name,omitempty"`
	At        time.Time      `json:"at"`
	State     string         `json:"state" enum:"waiting,accepted,declined,gone"`
}

// RequestAnswer accepts or declines.
type RequestAnswer struct {
	Accept bool `json:"accept"`
}
