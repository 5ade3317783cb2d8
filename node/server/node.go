package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// Node is what the server asks of a running node: one method for each verb.
// It is the seam between the two rooms; *node.Node is the one that runs, and a
// fake stands in where a test is about HTTP alone. Errors are *api.Problem
// where a code applies; any other is told as internal and logged.
type Node interface {
	Status(ctx context.Context) api.Status
	Peers(ctx context.Context) ([]api.Peer, error)
	Network(ctx context.Context) (api.Network, error)
	Probe(ctx context.Context) (api.Network, error)
	// Metrics gives what can be measured, as of when it is gathered; no label
	// names anybody.
	Metrics() prometheus.Gatherer
	Doctor(ctx context.Context) ([]api.Finding, error)
	// Shutdown asks the daemon to stop; it returns before that happens. A
	// careful one is refused while something is on this disk alone (only_copy).
	Shutdown(ctx context.Context, careful bool) error

	CreateIdentity(ctx context.Context, in api.IdentityCreate) (api.Identity, error)
	Identity(ctx context.Context) (api.Identity, error)
	ConfirmWords(ctx context.Context, confirmed bool) (api.Words, error)
	Card(ctx context.Context) (api.Card, error)
	Profile(ctx context.Context) (api.Profile, error)
	SetProfile(ctx context.Context, in api.ProfilePatch) (api.Profile, error)

	Devices(ctx context.Context) ([]api.Device, error)
	OpenLink(ctx context.Context, in api.DeviceLinkCreate) (api.DeviceLink, error)
	Link(ctx context.Context) (api.DeviceLink, error)
	LinkNumber(ctx context.Context, number string) (api.Task, error)
	CloseLink(ctx context.Context) (api.Task, error)
	// JoinAccount begins to make this home a device of an account.
	JoinAccount(ctx context.Context, text string) (api.Task, error)

	// Backup, VerifyBackup and RestoreBackup begin a task each; the last makes
	// this home a device.
	Backup(ctx context.Context, in api.BackupCreate) (api.Task, error)
	VerifyBackup(ctx context.Context, in api.BackupOpen) (api.Task, error)
	RestoreBackup(ctx context.Context, in api.BackupRestore) (api.Task, error)

	Export(ctx context.Context, in api.ExportCreate) (api.Task, error)
	VerifyExport(ctx context.Context, in api.ExportOpen) (api.Task, error)

	People(ctx context.Context) ([]api.Person, error)
	Person(ctx context.Context, a wire.AccountID) (api.Person, error)
	Follows(ctx context.Context) ([]api.Person, error)
	Followers(ctx context.Context) ([]api.Person, error)
	Mutuals(ctx context.Context) ([]api.Person, error)
	Follow(ctx context.Context, a wire.AccountID, card string) (api.Person, error)
	Unfollow(ctx context.Context, a wire.AccountID) (api.Person, error)
	// RevokeDevice ends another device of the account for good.
	RevokeDevice(ctx context.Context, d wire.DeviceID, in api.DeviceRevoke) (api.DeviceRevoked, error)
	// ConfirmFollows makes edges that others say this account has; of none
	// named, all.
	ConfirmFollows(ctx context.Context, accounts []wire.AccountID) ([]api.Person, error)
	Block(ctx context.Context, a wire.AccountID, on bool) (api.Person, error)
	Requests(ctx context.Context) ([]api.Request, error)
	AnswerRequest(ctx context.Context, id string, accept bool) (api.Request, error)

	Groups(ctx context.Context) ([]api.Group, error)
	Group(ctx context.Context, g wire.GroupID) (api.Group, error)
	CreateGroup(ctx context.Context, in api.GroupCreate) (api.Group, error)
	PatchGroup(ctx context.Context, g wire.GroupID, in api.GroupPatch) (api.Group, error)
	Retain(ctx context.Context, g wire.GroupID, days int) (api.Group, error)
	LeaveGroup(ctx context.Context, g wire.GroupID) (api.Group, error)
	Transfer(ctx context.Context, g wire.GroupID, heir wire.AccountID) (api.Task, error)
	Succeed(ctx context.Context, g wire.GroupID, heir wire.AccountID) (api.Task, error)
	Members(ctx context.Context, g wire.GroupID) ([]api.Member, error)
	Waitlist(ctx context.Context, g wire.GroupID) ([]api.Member, error)
	AddMember(ctx context.Context, g wire.GroupID, a wire.AccountID) (api.Task, error)
	PatchMember(ctx context.Context, g wire.GroupID, a wire.AccountID, in api.MemberPatch) (api.Member, error)
	RemoveMember(ctx context.Context, g wire.GroupID, a wire.AccountID, reason string) (api.Member, error)
	Branch(ctx context.Context, g wire.GroupID, a wire.AccountID) (api.Branch, error)
	RemoveBranch(ctx context.Context, g wire.GroupID, a wire.AccountID, in api.BranchRemove) (api.Task, error)
	Tree(ctx context.Context, g wire.GroupID) ([]api.TreeLine, error)
	// Audit of the zero time is of now.
	Audit(ctx context.Context, g wire.GroupID, at time.Time) (api.Audit, error)
	Proof(ctx context.Context, g wire.GroupID, a wire.AccountID) (api.Proof, error)
	VerifyProof(ctx context.Context, proof []byte) (api.Consent, error)

	CreateInvite(ctx context.Context, g wire.GroupID, in api.InviteCreate) (api.Invite, error)
	Invites(ctx context.Context, g wire.GroupID) ([]api.Invite, error)
	RevokeInvite(ctx context.Context, g wire.GroupID, id string) (api.Invite, error)
	Inspect(ctx context.Context, in api.InspectRequest) (api.Inspect, error)
	JoinByPasscode(ctx context.Context, text string) (api.Task, error)

	Harbors(ctx context.Context, g wire.GroupID) ([]api.Harbor, error)
	AddHarbor(ctx context.Context, in api.HarborCreate) (api.Harbor, error)
	PatchHarbor(ctx context.Context, id string, in api.HarborPatch) (api.Harbor, error)
	RemoveHarbor(ctx context.Context, id string) (api.Harbor, error)
	KeptGroups(ctx context.Context) (api.Kept, error)

	Settings(ctx context.Context) (api.Settings, error)
	PatchSettings(ctx context.Context, in api.SettingsPatch) (api.Settings, error)

	Messages(ctx context.Context, g wire.GroupID, p api.Page) (api.MessagePage, error)
	Message(ctx context.Context, g wire.GroupID, id string) (api.Message, error)
	// Send returns once the message is synced to disk.
	Send(ctx context.Context, g wire.GroupID, in api.MessageCreate) (api.Message, error)
	Receipts(ctx context.Context, g wire.GroupID, message string) (api.Receipts, error)
	MarkRead(ctx context.Context, g wire.GroupID, message string) error

	Tasks(ctx context.Context) ([]api.Task, error)
	Task(ctx context.Context, id string) (api.Task, error)
	CancelTask(ctx context.Context, id string) (api.Task, error)

	// NextEvents blocks until there are durable events after that id and
	// returns at most max of them; api.ErrResync when it cannot go on from
	// there.
	NextEvents(ctx context.Context, after string, max int) ([]api.Event, error)
	// Watch yields what is not replayed and has no id, until ctx is done.
	Watch(ctx context.Context) <-chan api.Event
	LastEventID(ctx context.Context) string
	Snapshot(ctx context.Context) (api.Snapshot, error)

	// Idempotent returns the answer stored under the key, or save to store
	// one. The same key with another hash is idempotency_conflict.
	Idempotent(ctx context.Context, key string, request [32]byte) (stored *api.StoredResponse, save func(status int, body []byte) error, err error)
}
