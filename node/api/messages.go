package api

import (
	"time"

	"mutuals/identity/wire"
)

// Kinds of message.
const (
	MessageText       = "text"
	MessageProfile    = "profile"    // a member showed its profile
	MessageGroupInfo  = "group-info" // name, description, ice-breakers
	MessageNewer      = "newer"      // needs a newer version
	MessageModeration = "moderation" // the reason of an act
)

// Why a message is folded: a front end shows the reason in its place, and the
// text, where there is any, only when asked.
const (
	FoldedPastPin      = "sent-before-removal-was-known"
	FoldedAuthorVoid   = "author-not-a-member"
	FoldedSilenced     = "sent-before-silence-was-known"
	FoldedKeyMissing   = "key-missing"
	FoldedBeforeJoined = "before-you-joined"
	FoldedMalformed    = "malformed"
	FoldedNotAllowed   = "not-allowed"
)

// Where an own message is. Each state includes the ones before it.
const (
	StateStored    = "stored"    // on this disk, synced
	StateSent      = "sent"      // written to at least one member or harbor
	StateDelivered = "delivered" // a member's device reports it on its disk
)

// Message is one entry of a group's timeline.
type Message struct {
	ID          wire.OpID        `json:"id"`
	Group       wire.GroupID     `json:"group"`
	Author      wire.AccountID   `json:"author"`
	Device      wire.DeviceID    `json:"device"`
	Seq         uint64           `json:"seq" doc:"number in its device's chain"`
	SentAt      time.Time        `json:"sent_at"`
	Clock       uint64           `json:"clock" doc:"logical clock the timeline is ordered by, ms"`
	Kind        string           `json:"kind" doc:"text, profile, group-info, moderation; newer for what this version cannot show"`
	Text        string           `json:"text,omitempty"`
	ReplyTo     wire.OpID        `json:"reply_to,omitzero"`
	Mentions    []wire.AccountID `json:"mentions,omitempty"`
	Reactions   Array[Reaction]  `json:"reactions"`
	Edited      bool             `json:"edited"`
	Deleted     bool             `json:"deleted"`
	HeldBy      int              `json:"held_by" doc:"members besides the author, and harbors, whose device reports it on its disk"`
	HeldOf      int              `json:"held_of" doc:"how many such members and harbors there are"`
	ReadBy      int              `json:"read_by,omitempty" doc:"of an own message: how many members say that they have read it, if this person and they take read receipts"`
	State       string           `json:"state" enum:"stored,sent,delivered"`
	Provisional bool             `json:"provisional,omitempty" doc:"its author's seat is not confirmed yet"`
	Late        bool             `json:"late,omitempty" doc:"arrived more than 10 minutes after it was written"`
	Folded      string           `json:"folded,omitempty" enum:"sent-before-removal-was-known,author-not-a-member,sent-before-silence-was-known,key-missing,before-you-joined,malformed,not-allowed" doc:"why it is not simply shown"`
	Acts        []Act            `json:"acts,omitempty" doc:"of a moderation: the first 20 acts that text is the reason of; the audit has all"`
	ActsCount   int              `json:"acts_count,omitempty" doc:"how many acts it is the reason of"`
}

// MaxActs is how many acts a moderation lists: more than a line names.
const MaxActs = 20

// Reaction is one emoji on a message and who put it there.
type Reaction struct {
	Emoji string                `json:"emoji"`
	By    Array[wire.AccountID] `json:"by"`
}

// MessageCreate is what to say. The answer comes when it is synced to disk.
type MessageCreate struct {
	Text     string           `json:"text" minLength:"1" doc:"at most 16 KiB of UTF-8; more is too_large"`
	ReplyTo  wire.OpID        `json:"reply_to,omitzero"`
	Mentions []wire.AccountID `json:"mentions,omitempty" maxItems:"64"`
	Files    []string         `json:"files,omitempty" maxItems:"0" doc:"not in this version"`
}

// MaxText is the most bytes of UTF-8 one message may hold: a screen or ten, and small enough to gossip.
const MaxText = 16 << 10

// Page names a window of a timeline by at most one cursor; without one, the
// newest Limit entries.
type Page struct {
	Before, After, Around string // opaque cursors, or a message's id
	Limit                 int    // 1…MaxPage; 0 means DefaultPage
}

// Bounds of a page: a screen and a half, and what one answer may cost.
const (
	DefaultPage = 50
	MaxPage     = 200
)

// MessagePage is a window of a timeline, oldest first. A cursor is there when
// there is more on that side.
type MessagePage struct {
	Items  Array[Message] `json:"items"`
	Before string         `json:"before,omitempty"`
	After  string         `json:"after,omitempty"`
	// Older messages are not missing then: they were dropped by this device's
	// choice, or by that of those who sent them on.
	PrunedTo time.Time `json:"pruned_to,omitzero" doc:"on the page that begins the timeline: older messages were pruned here, the newest of them from this moment; absent if none were"`
}

// Retention is for how long a device keeps a group's messages.
type Retention struct {
	Days int `json:"days" minimum:"0" maximum:"3650" doc:"0 keeps them for ever"`
}

// ReadMarker names the newest message that was read.
type ReadMarker struct {
	Message wire.OpID `json:"message"`
}

// Receipts tell who has read an own message: members who take read receipts,
// as the person who asks does.
type Receipts struct {
	Items Array[Receipt] `json:"items"`
	Of    int            `json:"of" doc:"how many other members take read receipts"`
}

// Receipt is one reader. People are told of what they read once in a while, not
// of each message: At is when a device said so.
type Receipt struct {
	Account wire.AccountID `json:"account"`
	Name    string         `json:"name"`
	At      time.Time      `json:"at" doc:"when its device said that it was read"`
}

// Cursors returns how many cursors are given.
func (p Page) Cursors() (n int) {
	for _, c := range []string{p.Before, p.After, p.Around} {
		if c != "" {
			n++
		}
	}
	return n
}
