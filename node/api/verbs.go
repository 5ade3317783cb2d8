package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"mutuals/identity/wire"
)

// The verbs of the API, one method each; a route that has none here goes
// through Do.

func get[T any](ctx context.Context, c *Client, path string) (out T, err error) {
	err = c.Do(ctx, Call{Method: http.MethodGet, Path: path, Out: &out})
	return out, err
}

func list[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	l, err := get[List[T]](ctx, c, path)
	return l.Items, err
}

func send[T any](ctx context.Context, c *Client, method, path string, in any) (out T, err error) {
	err = c.Do(ctx, Call{Method: method, Path: path, In: in, Out: &out})
	return out, err
}

func groupPath(g wire.GroupID) string    { return "/groups/" + g.String() }
func followPath(a wire.AccountID) string { return "/follows/" + a.String() }
func memberPath(g wire.GroupID, a wire.AccountID) string {
	return groupPath(g) + "/members/" + a.String()
}

// Status: GET status.
func (c *Client) Status(ctx context.Context) (Status, error) { return get[Status](ctx, c, "/status") }

// Version: GET version.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return get[Version](ctx, c, "/version")
}

// Network: GET network.
func (c *Client) Network(ctx context.Context) (Network, error) {
	return get[Network](ctx, c, "/network")
}

// Probe: POST network/probe.
func (c *Client) Probe(ctx context.Context) (out Network, err error) {
	err = c.Do(ctx, Call{Method: http.MethodPost, Path: "/network/probe", Out: &out})
	return out, err
}

// Peers: GET peers.
func (c *Client) Peers(ctx context.Context) ([]Peer, error) { return list[Peer](ctx, c, "/peers") }

// Metrics: GET metrics, as Prometheus reads it.
func (c *Client) Metrics(ctx context.Context) (text []byte, err error) {
	err = c.Do(ctx, Call{Method: http.MethodGet, Path: "/metrics", Out: &text})
	return text, err
}

// Doctor: GET doctor.
func (c *Client) Doctor(ctx context.Context) ([]Finding, error) {
	return list[Finding](ctx, c, "/doctor")
}

// Shutdown asks the daemon to stop: POST shutdown. It answers before it does.
// A careful one is refused while something is on this disk alone (only_copy).
func (c *Client) Shutdown(ctx context.Context, careful bool) error {
	_, err := send[Shutdown](ctx, c, http.MethodPost, "/shutdown?careful="+strconv.FormatBool(careful), nil)
	return err
}

// CreateIdentity: POST identity.
func (c *Client) CreateIdentity(ctx context.Context, in IdentityCreate) (Identity, error) {
	return send[Identity](ctx, c, http.MethodPost, "/identity", in)
}

// Identity: GET identity.
func (c *Client) Identity(ctx context.Context) (Identity, error) {
	return get[Identity](ctx, c, "/identity")
}

// Words returns the 24 words: POST identity/words. With confirmed they are
// written down, and erased there.
func (c *Client) Words(ctx context.Context, confirmed bool) (Words, error) {
	return send[Words](ctx, c, http.MethodPost, "/identity/words", WordsRequest{Confirmed: confirmed})
}

// Card: GET identity/card.
func (c *Client) Card(ctx context.Context) (Card, error) { return get[Card](ctx, c, "/identity/card") }

// Devices: GET devices.
func (c *Client) Devices(ctx context.Context) ([]Device, error) {
	return list[Device](ctx, c, "/devices")
}

// OpenLink shows a link code: POST devices/link.
func (c *Client) OpenLink(ctx context.Context, in DeviceLinkCreate) (DeviceLink, error) {
	return send[DeviceLink](ctx, c, http.MethodPost, "/devices/link", in)
}

// Link: GET devices/link.
func (c *Client) Link(ctx context.Context) (DeviceLink, error) {
	return get[DeviceLink](ctx, c, "/devices/link")
}

// CloseLink: DELETE devices/link.
func (c *Client) CloseLink(ctx context.Context) (Task, error) {
	return send[Task](ctx, c, http.MethodDelete, "/devices/link", nil)
}

// LinkNumber: POST devices/link/number.
func (c *Client) LinkNumber(ctx context.Context, number string) (Task, error) {
	return send[Task](ctx, c, http.MethodPost, "/devices/link/number", LinkNumber{Number: number})
}

// JoinAccount makes the node a device of an account: POST identity/link.
func (c *Client) JoinAccount(ctx context.Context, text string) (Task, error) {
	return send[Task](ctx, c, http.MethodPost, "/identity/link", LinkRequest{Text: text})
}

// Profile: GET profile.
func (c *Client) Profile(ctx context.Context) (Profile, error) {
	return get[Profile](ctx, c, "/profile")
}

// SetProfile: PATCH profile.
func (c *Client) SetProfile(ctx context.Context, in ProfilePatch) (Profile, error) {
	return send[Profile](ctx, c, http.MethodPatch, "/profile", in)
}

// People: GET people.
func (c *Client) People(ctx context.Context) ([]Person, error) {
	return list[Person](ctx, c, "/people")
}

// Person: GET people/{a}.
func (c *Client) Person(ctx context.Context, a wire.AccountID) (Person, error) {
	return get[Person](ctx, c, "/people/"+a.String())
}

// Follows: GET follows.
func (c *Client) Follows(ctx context.Context) ([]Person, error) {
	return list[Person](ctx, c, "/follows")
}

// Followers: GET followers.
func (c *Client) Followers(ctx context.Context) ([]Person, error) {
	return list[Person](ctx, c, "/followers")
}

// Mutuals: GET mutuals.
func (c *Client) Mutuals(ctx context.Context) ([]Person, error) {
	return list[Person](ctx, c, "/mutuals")
}

// Follow follows an account known here, or the one of a card: PUT follows/{a}.
// With a card, account may be zero: the card names it, which the node is asked
// first.
func (c *Client) Follow(ctx context.Context, account wire.AccountID, card string) (Person, error) {
	if account.IsZero() {
		found, err := c.Inspect(ctx, InspectRequest{Text: card})
		if err != nil {
			return Person{}, err
		}
		if found.Problem != nil {
			return Person{}, found.Problem
		}
		if found.Account.IsZero() {
			return Person{}, NewProblem(BadRequest).Explain("the text holds no contact card")
		}
		account = found.Account
	}
	return send[Person](ctx, c, http.MethodPut, followPath(account), FollowRequest{Card: card})
}

// RevokeDevice ends a device of this account: POST devices/{d}/revoke.
func (c *Client) RevokeDevice(ctx context.Context, d Device, in DeviceRevoke) (DeviceRevoked, error) {
	return send[DeviceRevoked](ctx, c, http.MethodPost, "/devices/"+d.Device.String()+"/revoke", in)
}

// ConfirmFollows follows whom others say this account follows, all of them if
// none is named: POST follows/confirm.
func (c *Client) ConfirmFollows(ctx context.Context, said []Person) ([]Person, error) {
	var in FollowsConfirm
	for _, p := range said {
		in.Accounts = append(in.Accounts, p.Account)
	}
	l, err := send[List[Person]](ctx, c, http.MethodPost, "/follows/confirm", in)
	return l.Items, err
}

// Unfollow: DELETE follows/{a}.
func (c *Client) Unfollow(ctx context.Context, a wire.AccountID) (Person, error) {
	return send[Person](ctx, c, http.MethodDelete, followPath(a), nil)
}

// Block blocks or unblocks: PUT or DELETE blocks/{a}.
func (c *Client) Block(ctx context.Context, a wire.AccountID, on bool) (Person, error) {
	method := http.MethodDelete
	if on {
		method = http.MethodPut
	}
	return send[Person](ctx, c, method, "/blocks/"+a.String(), nil)
}

// Requests: GET requests.
func (c *Client) Requests(ctx context.Context) ([]Request, error) {
	return list[Request](ctx, c, "/requests")
}

// AnswerRequest: POST requests/{id}.
func (c *Client) AnswerRequest(ctx context.Context, id string, accept bool) (Request, error) {
	return send[Request](ctx, c, http.MethodPost, "/requests/"+url.PathEscape(id), RequestAnswer{Accept: accept})
}

// Groups: GET groups.
func (c *Client) Groups(ctx context.Context) ([]Group, error) { return list[Group](ctx, c, "/groups") }

// Group: GET groups/{g}.
func (c *Client) Group(ctx context.Context, g wire.GroupID) (Group, error) {
	return get[Group](ctx, c, groupPath(g))
}

// CreateGroup: POST groups.
func (c *Client) CreateGroup(ctx context.Context, in GroupCreate) (Group, error) {
	return send[Group](ctx, c, http.MethodPost, "/groups", in)
}

// PatchGroup: PATCH groups/{g}.
func (c *Client) PatchGroup(ctx context.Context, g wire.GroupID, in GroupPatch) (Group, error) {
	return send[Group](ctx, c, http.MethodPatch, groupPath(g), in)
}

// Retain sets for how many days the node keeps a group's messages, 0 for ever:
// PUT groups/{g}/retention.
func (c *Client) Retain(ctx context.Context, g wire.GroupID, days int) (Group, error) {
	return send[Group](ctx, c, http.MethodPut, groupPath(g)+"/retention", Retention{Days: days})
}

// LeaveGroup: DELETE groups/{g}.
func (c *Client) LeaveGroup(ctx context.Context, g wire.GroupID) (Group, error) {
	return send[Group](ctx, c, http.MethodDelete, groupPath(g), nil)
}

// Transfer offers a group to its next owner: POST groups/{g}/transfer.
func (c *Client) Transfer(ctx context.Context, g wire.GroupID, heir wire.AccountID) (Task, error) {
	return send[Task](ctx, c, http.MethodPost, groupPath(g)+"/transfer", HeirChoice{Account: heir})
}

// Succeed proposes an owner to the other admins: POST groups/{g}/succeed.
func (c *Client) Succeed(ctx context.Context, g wire.GroupID, heir wire.AccountID) (Task, error) {
	return send[Task](ctx, c, http.MethodPost, groupPath(g)+"/succeed", HeirChoice{Account: heir})
}

// Members: GET groups/{g}/members.
func (c *Client) Members(ctx context.Context, g wire.GroupID) ([]Member, error) {
	return list[Member](ctx, c, groupPath(g)+"/members")
}

// Waitlist: GET groups/{g}/waitlist.
func (c *Client) Waitlist(ctx context.Context, g wire.GroupID) ([]Member, error) {
	return list[Member](ctx, c, groupPath(g)+"/waitlist")
}

// AddMember offers a seat to a mutual: POST groups/{g}/members.
func (c *Client) AddMember(ctx context.Context, g wire.GroupID, a wire.AccountID) (Task, error) {
	return send[Task](ctx, c, http.MethodPost, groupPath(g)+"/members", MemberAdd{Account: a})
}

// SetRole: PATCH groups/{g}/members/{a}.
func (c *Client) SetRole(ctx context.Context, g wire.GroupID, a wire.AccountID, in MemberPatch) (Member, error) {
	return send[Member](ctx, c, http.MethodPatch, memberPath(g, a), in)
}

// Branch tells whom RemoveBranch would remove: GET groups/{g}/members/{a}/branch.
func (c *Client) Branch(ctx context.Context, g wire.GroupID, a wire.AccountID) (Branch, error) {
	return get[Branch](ctx, c, memberPath(g, a)+"/branch")
}

// RemoveBranch: POST groups/{g}/members/{a}/branch-remove.
func (c *Client) RemoveBranch(ctx context.Context, g wire.GroupID, a wire.AccountID, in BranchRemove) (Task, error) {
	return send[Task](ctx, c, http.MethodPost, memberPath(g, a)+"/branch-remove", in)
}

// Tree tells who came through whom: GET groups/{g}/tree.
func (c *Client) Tree(ctx context.Context, g wire.GroupID) ([]TreeLine, error) {
	return list[TreeLine](ctx, c, groupPath(g)+"/tree")
}

// Audit: GET groups/{g}/audit; the zero time is now.
func (c *Client) Audit(ctx context.Context, g wire.GroupID, at time.Time) (out Audit, err error) {
	call := Call{Method: http.MethodGet, Path: groupPath(g) + "/audit", Out: &out}
	if !at.IsZero() {
		call.Query = url.Values{"at": {at.UTC().Format(time.RFC3339Nano)}}
	}
	err = c.Do(ctx, call)
	return out, err
}

// Proof: GET groups/{g}/members/{a}/proof.
func (c *Client) Proof(ctx context.Context, g wire.GroupID, a wire.AccountID) (Proof, error) {
	return get[Proof](ctx, c, memberPath(g, a)+"/proof")
}

// ProofFile is the file alone: GET groups/{g}/members/{a}/proof/file.
func (c *Client) ProofFile(ctx context.Context, g wire.GroupID, a wire.AccountID) ([]byte, error) {
	return get[[]byte](ctx, c, memberPath(g, a)+"/proof/file")
}

// VerifyProof judges a proof's bytes: POST proofs/verify. It needs no identity.
func (c *Client) VerifyProof(ctx context.Context, proof []byte) (Consent, error) {
	return send[Consent](ctx, c, http.MethodPost, "/proofs/verify", proof)
}

// RemoveMember: DELETE groups/{g}/members/{a}. The reason may be empty.
func (c *Client) RemoveMember(ctx context.Context, g wire.GroupID, a wire.AccountID, reason string) (out Member, err error) {
	call := Call{Method: http.MethodDelete, Path: memberPath(g, a), Out: &out}
	if reason != "" {
		call.Query = url.Values{"reason": {reason}}
	}
	err = c.Do(ctx, call)
	return out, err
}

// CreateInvite: POST groups/{g}/invites.
func (c *Client) CreateInvite(ctx context.Context, g wire.GroupID, in InviteCreate) (Invite, error) {
	return send[Invite](ctx, c, http.MethodPost, groupPath(g)+"/invites", in)
}

// Invites: GET groups/{g}/invites.
func (c *Client) Invites(ctx context.Context, g wire.GroupID) ([]Invite, error) {
	return list[Invite](ctx, c, groupPath(g)+"/invites")
}

// RevokeInvite: DELETE groups/{g}/invites/{i}.
func (c *Client) RevokeInvite(ctx context.Context, g wire.GroupID, id string) (Invite, error) {
	return send[Invite](ctx, c, http.MethodDelete, groupPath(g)+"/invites/"+url.PathEscape(id), nil)
}

// Inspect: POST invites/inspect.
func (c *Client) Inspect(ctx context.Context, in InspectRequest) (Inspect, error) {
	return send[Inspect](ctx, c, http.MethodPost, "/invites/inspect", in)
}

// Join begins to enter by a pasted text: POST invites/join.
func (c *Client) Join(ctx context.Context, text string) (Task, error) {
	return send[Task](ctx, c, http.MethodPost, "/invites/join", JoinRequest{Text: text})
}

// Messages returns one page: GET groups/{g}/messages.
func (c *Client) Messages(ctx context.Context, g wire.GroupID, p Page) (out MessagePage, err error) {
	q := url.Values{}
	for name, cursor := range map[string]string{"before": p.Before, "after": p.After, "around": p.Around} {
		if cursor != "" {
			q.Set(name, cursor)
		}
	}
	if p.Limit > 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	err = c.Do(ctx, Call{Method: http.MethodGet, Path: groupPath(g) + "/messages", Query: q, Out: &out})
	return out, err
}

// Message: GET groups/{g}/messages/{m}.
func (c *Client) Message(ctx context.Context, g wire.GroupID, id string) (Message, error) {
	return get[Message](ctx, c, groupPath(g)+"/messages/"+url.PathEscape(id))
}

// Send says something: POST groups/{g}/messages. It returns once the message
// is synced to the node's disk.
func (c *Client) Send(ctx context.Context, g wire.GroupID, in MessageCreate) (Message, error) {
	return send[Message](ctx, c, http.MethodPost, groupPath(g)+"/messages", in)
}

// MarkRead: PUT groups/{g}/read-marker.
func (c *Client) MarkRead(ctx context.Context, g wire.GroupID, message wire.OpID) error {
	_, err := send[Settled](ctx, c, http.MethodPut, groupPath(g)+"/read-marker", ReadMarker{Message: message})
	return err
}

// Receipts: GET groups/{g}/messages/{m}/receipts.
func (c *Client) Receipts(ctx context.Context, g wire.GroupID, id string) (Receipts, error) {
	return get[Receipts](ctx, c, groupPath(g)+"/messages/"+url.PathEscape(id)+"/receipts")
}

// Backup: POST backups.
func (c *Client) Backup(ctx context.Context, in BackupCreate) (Task, error) {
	return send[Task](ctx, c, http.MethodPost, "/backups", in)
}

// VerifyBackup: POST backups/verify.
func (c *Client) VerifyBackup(ctx context.Context, in BackupOpen) (Task, error) {
	return send[Task](ctx, c, http.MethodPost, "/backups/verify", in)
}

// RestoreBackup: POST backups/restore.
func (c *Client) RestoreBackup(ctx context.Context, in BackupRestore) (Task, error) {
	return send[Task](ctx, c, http.MethodPost, "/backups/restore", in)
}

// Export: POST exports.
func (c *Client) Export(ctx context.Context, in ExportCreate) (Task, error) {
	return send[Task](ctx, c, http.MethodPost, "/exports", in)
}

// VerifyExport: POST exports/verify.
func (c *Client) VerifyExport(ctx context.Context, in ExportOpen) (Task, error) {
	return send[Task](ctx, c, http.MethodPost, "/exports/verify", in)
}

// Harbors: GET harbors; the zero group means all.
func (c *Client) Harbors(ctx context.Context, g wire.GroupID) ([]Harbor, error) {
	var out List[Harbor]
	call := Call{Method: http.MethodGet, Path: "/harbors", Out: &out}
	if !g.IsZero() {
		call.Query = url.Values{"group": {g.String()}}
	}
	err := c.Do(ctx, call)
	return out.Items, err
}

// AddHarbor asks a node to keep a group, and appoints it: POST harbors.
func (c *Client) AddHarbor(ctx context.Context, in HarborCreate) (Harbor, error) {
	return send[Harbor](ctx, c, http.MethodPost, "/harbors", in)
}

// PatchHarbor: PATCH harbors/{h}.
func (c *Client) PatchHarbor(ctx context.Context, id wire.OpID, in HarborPatch) (Harbor, error) {
	return send[Harbor](ctx, c, http.MethodPatch, "/harbors/"+id.String(), in)
}

// RemoveHarbor: DELETE harbors/{h}.
func (c *Client) RemoveHarbor(ctx context.Context, id wire.OpID) (Harbor, error) {
	return send[Harbor](ctx, c, http.MethodDelete, "/harbors/"+id.String(), nil)
}

// Kept tells what this node keeps for others: GET harbors/kept.
func (c *Client) Kept(ctx context.Context) (Kept, error) { return get[Kept](ctx, c, "/harbors/kept") }

// Settings: GET settings.
func (c *Client) Settings(ctx context.Context) (Settings, error) {
	return get[Settings](ctx, c, "/settings")
}

// SetSettings: PATCH settings.
func (c *Client) SetSettings(ctx context.Context, in SettingsPatch) (Settings, error) {
	return send[Settings](ctx, c, http.MethodPatch, "/settings", in)
}

// Snapshot: GET snapshot.
func (c *Client) Snapshot(ctx context.Context) (Snapshot, error) {
	return get[Snapshot](ctx, c, "/snapshot")
}

// Tasks: GET tasks.
func (c *Client) Tasks(ctx context.Context) ([]Task, error) { return list[Task](ctx, c, "/tasks") }

// Task: GET tasks/{t}.
func (c *Client) Task(ctx context.Context, id string) (Task, error) {
	return get[Task](ctx, c, "/tasks/"+url.PathEscape(id))
}

// CancelTask: DELETE tasks/{t}.
func (c *Client) CancelTask(ctx context.Context, id string) (Task, error) {
	return send[Task](ctx, c, http.MethodDelete, "/tasks/"+url.PathEscape(id), nil)
}
