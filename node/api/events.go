package api

import (
	"encoding/json"
	"errors"
	"time"

	"mutuals/identity/wire"
)

// Types of event. Those of the first block are durable: they have an id and
// are replayed; the others have none.
const (
	EventMessageCreated   = "message.created"
	EventMessageUpdated   = "message.updated"
	EventMessageRetracted = "message.retracted"
	EventReactionChanged  = "reaction.changed"
	EventMemberJoined     = "member.joined"
	EventMemberLeft       = "member.left"
	EventMemberRemoved    = "member.removed"
	EventMemberWaitlisted = "member.waitlisted"
	EventMemberRole       = "member.role"
	EventGroupCreated     = "group.created"
	EventGroupUpdated     = "group.updated"
	EventGroupLeft        = "group.left"
	EventInviteUsed       = "invite.used"
	EventInviteRequested  = "invite.requested"
	EventFollowReceived   = "follow.received"
	EventMutual           = "mutual"
	EventReadChanged      = "read.changed"

	EventTaskProgress   = "task.progress"
	EventNetworkChanged = "network.changed"
	EventDoctorWarning  = "doctor.warning"
	EventResync         = "resync"
)

// Event is one thing that happened. Object is the JSON of what Type speaks
// of: a Message, Retracted, Member, Group, Invite, Request, Person, ReadMarker,
// Task. A message is given as it is when the event is read.
type Event struct {
	ID     string          `json:"id,omitempty" doc:"store epoch and change number; absent on what is not replayed"`
	Type   string          `json:"type"`
	At     time.Time       `json:"at"`
	Group  wire.GroupID    `json:"group,omitzero"`
	Object json.RawMessage `json:"object"`
}

// Retracted is the object of message.retracted: a message that is gone, because
// what it was part of was let go.
type Retracted struct {
	ID    wire.OpID    `json:"id"`
	Group wire.GroupID `json:"group"`
}

// ErrResync means that events cannot go on from the id given: read a
// Snapshot and follow from its EventID.
var ErrResync = errors.New("events cannot resume from there: take a snapshot")

// Snapshot is everything a front end shows before its first event.
type Snapshot struct {
	State   State  `json:"state"`
	EventID string `json:"event_id" doc:"follow events from here"`
}

// State is what events change. Messages are paged, so of them only each
// group's newest is here.
type State struct {
	Status   Status              `json:"status"`
	Identity *Identity           `json:"identity,omitempty"`
	People   Array[Person]       `json:"people"`
	Requests Array[Request]      `json:"requests"`
	Groups   Array[Group]        `json:"groups"`
	Members  Array[GroupMembers] `json:"members"`
	Tasks    Array[Task]         `json:"tasks"`
}

// GroupMembers is the member list of one group.
type GroupMembers struct {
	Group wire.GroupID  `json:"group"`
	Items Array[Member] `json:"items"`
}

// StoredResponse is the answer that an Idempotency-Key got the first time.
type StoredResponse struct {
	Status int
	Body   []byte
}

// EventBatch answers a request to wait for events.
type EventBatch struct {
	Items   Array[Event] `json:"items"`
	EventID string       `json:"event_id" doc:"where to go on from"`
}
