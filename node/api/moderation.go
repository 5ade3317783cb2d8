package api

import (
	"time"

	"mutuals/identity/wire"
)

// Kinds of act.
const (
	ActGenesis      = "genesis"
	ActAdmit        = "admit"
	ActLeave        = "leave"
	ActRemove       = "remove"
	ActRole         = "role"
	ActTransfer     = "transfer"
	ActSucceed      = "succeed"
	ActPolicy       = "policy"
	ActInvite       = "invite"
	ActInviteRevoke = "invite-revoke"
	ActDevAdd       = "dev-add"
	ActDevRevoke    = "dev-revoke"
	ActFault        = "fault"
	ActHarbor       = "harbor"
)

// MaxReason is the most bytes of UTF-8 the reason of an act may hold.
const MaxReason = 1 << 10

// Act is one signed operation that changed who is in, of what rank or under
// which rules, or that meant to.
type Act struct {
	ID           wire.OpID      `json:"id"`
	At           time.Time      `json:"at"`
	Kind         string         `json:"kind" enum:"genesis,admit,leave,remove,role,transfer,succeed,policy,invite,invite-revoke,dev-add,dev-revoke,fault,harbor"`
	Actor        wire.AccountID `json:"actor,omitzero" doc:"who did it; absent where a harbor did"`
	ActorName    string         `json:"actor_name,omitempty"`
	Device       wire.DeviceID  `json:"device" doc:"of the actor"`
	Target       wire.AccountID `json:"target,omitzero" doc:"whom it is about"`
	TargetName   string         `json:"target_name,omitempty"`
	TargetDevice wire.DeviceID  `json:"target_device,omitzero" doc:"the device that was added, revoked, proven at fault or appointed"`
	Role         string         `json:"role,omitempty" enum:"admin,member" doc:"the role given"`
	Invite       wire.OpID      `json:"invite,omitzero"`
	Cap          int            `json:"cap,omitempty" doc:"of the rules set"`
	Policy       *Policy        `json:"policy,omitempty" doc:"the rules set"`
	InForce      bool           `json:"in_force"`
	Void         *Void          `json:"void,omitempty" doc:"why it is not in force"`
	Provisional  bool           `json:"provisional" doc:"the owner and all admins have not all written since"`
	Reason       string         `json:"reason,omitempty" doc:"what the actor said of it to the group"`
}

// Void tells why an act is not in force.
type Void struct {
	Cause string    `json:"cause" enum:"device-stopped,author-gone,author-void,rank,target-rank,invite-revoked,invite-void,invite-used,inviter-gone,target-removed,rival,owner-stays"`
	Text  string    `json:"text" doc:"the cause in words"`
	By    wire.OpID `json:"by,omitzero" doc:"the act that voids it, where one alone does"`
}

// Audit is who was in a group at a time, by what right, and what was done until
// then.
type Audit struct {
	Group   wire.GroupID       `json:"group"`
	At      time.Time          `json:"at" doc:"operations up to here, by their own clocks, resolved among themselves"`
	Owner   wire.AccountID     `json:"owner"`
	Cap     int                `json:"cap"`
	Policy  Policy             `json:"policy"`
	Members Array[AuditMember] `json:"members" doc:"who was in, or had been"`
	Acts    Array[Act]         `json:"acts" doc:"the moderation log, oldest first"`
}

// AuditMember is one account and its right to be in.
type AuditMember struct {
	Member
	Way       string         `json:"way" enum:"founded,pulled-in,invited"`
	Admission wire.OpID      `json:"admission" doc:"the act that let it in"`
	Invite    wire.OpID      `json:"invite,omitzero" doc:"by which invite"`
	Sponsor   wire.AccountID `json:"sponsor,omitzero" doc:"who wrote the admission; absent where a harbor did"`
	RoleBy    wire.OpID      `json:"role_by,omitzero" doc:"the act that gave its role"`
}

// TreeLine is one admission in the tree of who came through whom, which is
// listed from the founder down, each followed by those who came through it.
type TreeLine struct {
	Account   wire.AccountID `json:"account"`
	Name      string         `json:"name"`
	Admission wire.OpID      `json:"admission"`
	Parent    wire.OpID      `json:"parent,omitzero" doc:"the admission it came through; the founder has none"`
	Inviter   wire.AccountID `json:"inviter,omitzero"`
	Depth     int            `json:"depth"`
	Present   bool           `json:"present" doc:"seated or waiting by this admission"`
	Role      string         `json:"role,omitempty" enum:"owner,admin,member" doc:"of who is present"`
}

// Branch is an account with everybody who came through it, as one may remove
// them.
type Branch struct {
	Removes Array[Member] `json:"removes" doc:"who would be removed"`
	Stays   Array[Member] `json:"stays" doc:"whom this account may not remove; who came through them stays too"`
}

// BranchRemove removes a branch.
type BranchRemove struct {
	Accounts []wire.AccountID `json:"accounts,omitempty" maxItems:"1000" doc:"only these of it; all of it if empty. Who confirmed a list sends it, so that nobody is removed unseen"`
	Reason   string           `json:"reason,omitempty" maxLength:"1024" doc:"shown to the others"`
}

var voidWords = map[string]struct{ en, zh string }{
	"device-stopped": {"the device that wrote it was revoked, or caught contradicting itself", "写下它的设备已被吊销，或被证明自相矛盾"},
	"author-gone":    {"who wrote it had been removed, or had left", "写下它的人当时已被移出或已退群"},
	"author-void":    {"the admission of who wrote it is void itself", "写下它的人的入群本身无效"},
	"rank":           {"who wrote it did not have the rank", "写下它的人没有相应的身份"},
	"target-rank":    {"it was aimed at somebody of no lower rank", "对方的身份不低于写下它的人"},
	"invite-revoked": {"the invite had been revoked", "邀请已被撤回"},
	"invite-void":    {"the invite is void", "邀请无效"},
	"invite-used":    {"the invite was used up by others", "邀请已被其他人用完"},
	"inviter-gone":   {"the inviter had been removed, or had left", "邀请人当时已被移出或已退群"},
	"target-removed": {"who was let in had been removed, and the invite is older than that", "入群者曾被移出，而邀请早于那次移出"},
	"rival":          {"another hand-over of the group counts", "群主的另一次移交有效"},
	"owner-stays":    {"the owner does not leave", "群主不能退群"},
}

// VoidText tells a cause in words.
func VoidText(cause string, l Lang) string {
	w := voidWords[cause]
	if l == Chinese {
		return w.zh
	}
	return w.en
}

// In returns the act with its words in a language.
func (a Act) In(l Lang) Act {
	a.Void = a.Void.in(l)
	return a
}

func (v *Void) in(l Lang) *Void {
	if v == nil {
		return nil
	}
	out := *v
	out.Text = VoidText(v.Cause, l)
	return &out
}

// In returns the audit with its words in a language.
func (a Audit) In(l Lang) Audit {
	acts := make(Array[Act], len(a.Acts))
	for i, act := range a.Acts {
		acts[i] = act.In(l)
	}
	a.Acts = acts
	return a
}
