package api

import (
	"slices"
	"time"

	"mutuals/identity/wire"
)

// Roles of a member, highest first.
const (
	RoleOwner  = "owner"
	RoleAdmin  = "admin"
	RoleMember = "member"
)

// States of a member.
const (
	MemberSeated     = "seated"
	MemberWaitlisted = "waitlisted"
	MemberLeft       = "left"
	MemberRemoved    = "removed"
)

// Group is a group this account is, or was, a member of.
type Group struct {
	ID             wire.GroupID  `json:"id"`
	Name           string        `json:"name"`
	Description    string        `json:"description"`
	Cap            int           `json:"cap" doc:"seats"`
	Members        int           `json:"members" doc:"seats taken"`
	Waitlist       int           `json:"waitlist" doc:"how many wait for a seat"`
	Role           string        `json:"role" enum:"owner,admin,member" doc:"own role"`
	Status         string        `json:"status" enum:"seated,waitlisted,left,removed,unreadable" doc:"own standing; unreadable: what is on this disk makes no group, and id, name (if there is one) and problem are all that is known"`
	Returning      bool          `json:"returning,omitempty" doc:"restored from a backup: to be read, and this device is not let back in yet"`
	Policy         Policy        `json:"policy"`
	Unread         int           `json:"unread" doc:"messages of others behind the read marker; counting stops at 1000"`
	UnreadMentions int           `json:"unread_mentions" doc:"of those, how many mention this account"`
	ReadTo         wire.OpID     `json:"read_to,omitzero" doc:"the newest message that was read: messages?after= goes on behind it"`
	LastMessage    *Message      `json:"last_message" doc:"newest entry, null while there is none"`
	Epoch          uint64        `json:"epoch" doc:"generation of the key written under; 0 while there is none"`
	EpochID        wire.OpID     `json:"epoch_id,omitzero" doc:"the operation that made that key; absent while there is none"`
	Synced         bool          `json:"synced" doc:"nothing is known to be missing"`
	Gaps           Array[Gap]    `json:"gaps" doc:"what is, the most first, at most 64 of a group"`
	CompleteTo     time.Time     `json:"complete_to,omitzero" doc:"while something is missing: nothing older than this is known to be; absent if that is not known"`
	CompleteFrom   time.Time     `json:"complete_from,omitzero" doc:"while older messages are on their way: everything that was said since is here"`
	CreatedAt      time.Time     `json:"created_at"`
	IceBreakers    Array[string] `json:"ice_breakers"`
	Place          int           `json:"place,omitempty" doc:"own place in the waitlist, from 1"`
	Ownership      Ownership     `json:"ownership"`
	Direct         *Direct       `json:"direct,omitempty" doc:"of a conversation of two: it has no ranks, invites, removals or rules of its own"`
	RetainDays     int           `json:"retain_days" doc:"for how many days this device keeps messages; 0 for ever"`
	PrunedTo       time.Time     `json:"pruned_to,omitzero" doc:"when the newest message was written that is not here any more, by that or because who sent it on had pruned it; absent if all are here"`
	OnlyHere       int           `json:"only_here" doc:"own messages and changes that no other device has reported on its disk yet"`
	SafeToClose    bool          `json:"safe_to_close" doc:"none are, or nobody else is there to hold them: this machine may be switched off"`
	// Void says more than a status of removed: nobody removed this account.
	Void *Void `json:"void,omitempty" doc:"why how this account came in does not count; absent if it does"`
	// Problem says what is wrong with one whose status is unreadable.
	Problem *Problem `json:"problem,omitempty" doc:"why it cannot be read; absent if it can"`
}

// GroupIsUnreadable is the status of a group whose rows on the disk are damaged.
const GroupIsUnreadable = "unreadable"

// States of a direct conversation.
const (
	DirectOffered = "offered"
	DirectJoined  = "joined"
	DirectLeft    = "left"
)

// Direct is what a group is that two mutuals talk in alone.
type Direct struct {
	Account wire.AccountID `json:"account" doc:"the other one"`
	Name    string         `json:"name"`
	Status  string         `json:"status" enum:"offered,joined,left" doc:"whether the other is in it"`
	// Also is not empty when both made one before they heard of the other's.
	Also []wire.GroupID `json:"also,omitempty" doc:"groups of the same two that are shown as this one; their ids mean it too"`
}

// In returns the group with its words in a language.
func (g Group) In(l Lang) Group {
	g.Void = g.Void.in(l)
	if g.Problem != nil {
		g.Problem = g.Problem.In(l)
	}
	return g
}

// Holds tells whether an id means this group.
func (g Group) Holds(id wire.GroupID) bool {
	return g.ID == id || g.Direct != nil && slices.Contains(g.Direct.Also, id)
}

// What can be missing of a group.
const (
	GapMessages = "messages" // have not arrived
	GapChanges  = "changes"  // of members, ranks or rules: have not arrived
	GapKeys     = "keys"     // messages that are here, and whose key is not
)

// Gap is what is known to be missing of one author.
type Gap struct {
	Kind    string                `json:"kind" enum:"messages,changes,keys"`
	Author  wire.AccountID        `json:"author,omitzero" doc:"absent if not even the author's admission has arrived"`
	Name    string                `json:"name,omitempty"`
	Missing int                   `json:"missing" doc:"how many; a million stands for more"`
	HeldBy  Array[wire.AccountID] `json:"held_by" doc:"members that say they have them, at most 8"`
}

// Ways to come to own a group.
const (
	OwnedByGenesis  = "genesis"
	OwnedByTransfer = "transfer"
	OwnedBySucceed  = "succeed"
)

// Ownership tells who owns a group, and by what.
type Ownership struct {
	Owner wire.AccountID `json:"owner"`
	Name  string         `json:"name"`
	By    string         `json:"by" enum:"genesis,transfer,succeed" doc:"whether it made the group, was handed it or was elected"`
	Since time.Time      `json:"since"`
	// Settled is what groups/SPEC.md R21 calls so.
	Settled bool `json:"settled" doc:"most members wrote something three days later: no rival of the same moment can take its place"`
	// OpenAt moves on with each sign of life of the owner.
	OpenAt time.Time `json:"open_at,omitzero" doc:"from when on admins may elect another, unless the owner is heard of; absent where the rules do not allow it"`
}

// HeirChoice names who is to own a group.
type HeirChoice struct {
	Account wire.AccountID `json:"account"`
}

// Policy is a group's rules, as the flags of `mutuals group create` take them.
type Policy struct {
	WhoInvites  string `json:"who_invites" enum:"owner,admins,members"`
	History     string `json:"history" doc:"what newcomers read: join, all, or the last days, as 7d" pattern:"^(join|all|[1-9][0-9]{0,4}d)$"`
	Posting     string `json:"posting" enum:"all,admins"`
	Waitlist    int    `json:"waitlist" doc:"places past the cap"`
	SucceedDays int    `json:"succeed_days" doc:"days of the owner's silence after which admins may elect another; 0 never"`
}

// PolicyPatch holds the rules to set; the others keep their value, or the
// default when a group is made.
type PolicyPatch struct {
	WhoInvites  *string `json:"who_invites,omitempty" enum:"owner,admins,members"`
	History     *string `json:"history,omitempty" pattern:"^(join|all|[1-9][0-9]{0,4}d)$" patternDescription:"join, all or days as 7d"`
	Posting     *string `json:"posting,omitempty" enum:"all,admins"`
	Waitlist    *int    `json:"waitlist,omitempty" minimum:"0" maximum:"500"`
	SucceedDays *int    `json:"succeed_days,omitempty" minimum:"0" maximum:"3650"`
}

// GroupCreate makes a group.
type GroupCreate struct {
	Name        string       `json:"name,omitempty" minLength:"1" maxLength:"64" doc:"needed unless it is direct"`
	Description string       `json:"description,omitempty" maxLength:"1024"`
	Cap         *int         `json:"cap,omitempty" minimum:"2" maximum:"500" doc:"seats; 100 unless given"`
	Policy      *PolicyPatch `json:"policy,omitempty"`
	IceBreakers []string     `json:"ice_breakers,omitempty" maxItems:"8" doc:"lines a newcomer may say with one tap"`
	// Direct answers with the conversation there is, if there is one.
	Direct wire.AccountID `json:"direct,omitzero" doc:"a mutual to talk with alone; then nothing else is given"`
}

// GroupPatch changes what is given.
type GroupPatch struct {
	Name        *string      `json:"name,omitempty" minLength:"1" maxLength:"64"`
	Description *string      `json:"description,omitempty" maxLength:"1024"`
	Cap         *int         `json:"cap,omitempty" minimum:"2" maximum:"500"`
	Policy      *PolicyPatch `json:"policy,omitempty"`
	IceBreakers *[]string    `json:"ice_breakers,omitempty" maxItems:"8"`
	Reason      string       `json:"reason,omitempty" maxLength:"1024" doc:"why cap or policy change; shown to the members"`
}

// Member is one account in a group's list, seated or not.
type Member struct {
	Account     wire.AccountID       `json:"account"`
	Name        string               `json:"name"`
	Role        string               `json:"role" enum:"owner,admin,member"`
	Status      string               `json:"status" enum:"seated,waitlisted,left,removed"`
	Inviter     wire.AccountID       `json:"inviter,omitzero" doc:"through whom it came; the founder has none"`
	JoinedAt    time.Time            `json:"joined_at"`
	Devices     Array[wire.DeviceID] `json:"devices"`
	Online      bool                 `json:"online" doc:"a device of it is connected to this one"`
	Provisional bool                 `json:"provisional" doc:"the owner or a second account has not confirmed it yet"`
	Place       int                  `json:"place,omitempty" doc:"place in the waitlist, from 1"`
}

// MemberAdd offers a seat to a mutual.
type MemberAdd struct {
	Account wire.AccountID `json:"account"`
}

// MemberPatch sets a member's role.
type MemberPatch struct {
	Role   string `json:"role" enum:"admin,member"`
	Reason string `json:"reason,omitempty" maxLength:"1024" doc:"why; shown to the members"`
}
