package api

import (
	"time"

	"mutuals/identity/wire"
)

// InviteCreate makes a passcode for a group.
type InviteCreate struct {
	Uses    *int   `json:"uses,omitempty" minimum:"1" maximum:"1000" doc:"how many it may seat; 10 unless given"`
	Expires string `json:"expires,omitempty" pattern:"^[1-9][0-9]{0,5}(s|m|h|d)$" patternDescription:"a time from now, as 30m, 12h or 7d" doc:"time from now, as 12h or 7d; 7d unless given"`
	Approve bool   `json:"approve,omitempty" doc:"each request waits for an admin's yes"`
	// SleepProof: whoever holds the code can read what is written while it lives.
	SleepProof bool   `json:"sleep_proof,omitempty" doc:"a harbor lets people in, and they read what is said since, while all members sleep; whoever holds the code can read what is written while it lives"`
	Redeem     string `json:"redeem,omitempty" enum:"any,admins,me" doc:"whose node may let people in by it: any member's, admins' only, or own devices only; any unless given"`
	Label      string `json:"label,omitempty" maxLength:"64" doc:"own note, seen by nobody else"`
	Lang       string `json:"lang,omitempty" enum:"en,zh" doc:"language of the text around the code; Accept-Language unless given"`
}

// Who may let people in by an invite.
const (
	RedeemAny    = "any"
	RedeemAdmins = "admins"
	RedeemMe     = "me"     // devices of the account that made it
	RedeemListed = "listed" // other devices
)

// From where the addresses in a code can be dialled.
const (
	ReachPublic  = "public"  // from anywhere, as far as is known
	ReachNetwork = "network" // from the local network
	ReachMachine = "machine" // from the machine it was made on
	ReachNone    = "none"    // from nowhere: it names no address
)

// Invite is a signed, counted, expiring grant to enter. Passcode, Text and
// Link are there only on the device that made it.
type Invite struct {
	ID         wire.OpID      `json:"id"`
	Group      wire.GroupID   `json:"group"`
	Inviter    wire.AccountID `json:"inviter"`
	Passcode   string         `json:"passcode,omitempty" doc:"the bare code, one line"`
	Text       string         `json:"text,omitempty" doc:"the code in a sentence, to be pasted anywhere"`
	Link       string         `json:"link,omitempty"`
	ExpiresAt  time.Time      `json:"expires_at"`
	Uses       int            `json:"uses" doc:"how many it may seat"`
	Used       int            `json:"used" doc:"how many it has admitted"`
	Approve    bool           `json:"approve"`
	SleepProof bool           `json:"sleep_proof" doc:"works while all members sleep; whoever holds the code can read what is written while it lives"`
	Harbors    int            `json:"harbors,omitempty" doc:"of a sleep-proof code just made: the harbors that hold all a newcomer needs; with none, stay online until one was reached"`
	Reach      string         `json:"reach,omitempty" enum:"public,network,machine,none" doc:"of a code just made: from where the addresses in it can be dialled; public as far as is known, none when it names no address"`
	Redeem     string         `json:"redeem" enum:"any,admins,me,listed" doc:"whose node may let people in by it; listed: devices that the one who made it chose"`
	Revoked    bool           `json:"revoked"`
	Label      string         `json:"label,omitempty"`
	CreatedAt  time.Time      `json:"created_at"`
}

// Kinds of pasted text.
const (
	InspectPasscode = "passcode"
	InspectCard     = "card"
)

// InspectRequest asks what a pasted text holds. Nothing is dialled unless
// Preview is set.
type InspectRequest struct {
	Text    string `json:"text" maxLength:"65536" doc:"whole pasted text"`
	Preview bool   `json:"preview,omitempty" doc:"ask the network what the group is"`
}

// Inspect says what a text holds. A text that cannot be read is no failed
// request: Problem says why.
type Inspect struct {
	Kind      string         `json:"kind,omitempty" enum:"passcode,card" doc:"absent when the text holds neither"`
	Account   wire.AccountID `json:"account,omitzero" doc:"of a card: whose"`
	Inviter   *Inviter       `json:"inviter,omitempty"`
	ExpiresAt time.Time      `json:"expires_at,omitzero"`
	Hints     Array[string]  `json:"hints" doc:"addresses the code names"`
	Preview   *Preview       `json:"preview,omitempty"`
	Problem   *Problem       `json:"problem,omitempty"`
}

// Inviter is who a code says it comes from; unverified until the join.
type Inviter struct {
	Account wire.AccountID `json:"account,omitzero" doc:"if it is known here, or the preview named it"`
	Name    string         `json:"name,omitempty"`
}

// Preview is what the inviter's side says of the group.
type Preview struct {
	Group   wire.GroupID `json:"group,omitzero"`
	Name    string       `json:"name"`
	Members int          `json:"members"`
	Cap     int          `json:"cap"`
	History string       `json:"history"`
	At      time.Time    `json:"at" doc:"when it was signed"`
}

// JoinRequest carries the whole pasted text.
type JoinRequest struct {
	Text string `json:"text" maxLength:"65536"`
}
