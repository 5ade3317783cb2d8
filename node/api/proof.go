package api

import (
	"time"

	"mutuals/identity/wire"
)

// Ways into a group.
const (
	WayFounded  = "founded"
	WayPulledIn = "pulled-in"
	WayInvited  = "invited"
)

// MaxProof is the most bytes a proof may hold.
const MaxProof = 4 << 20

// Consent is what a proof shows once it was verified: that an account and the
// one it came through both agreed.
type Consent struct {
	Group         wire.GroupID            `json:"group"`
	Way           string                  `json:"way" enum:"founded,pulled-in,invited"`
	Account       wire.AccountID          `json:"account" doc:"who came in"`
	Name          string                  `json:"name,omitempty" doc:"what this node calls it; no part of the proof"`
	Device        wire.DeviceID           `json:"device"`
	Inviter       wire.AccountID          `json:"inviter,omitzero" doc:"through whom; a founder has none"`
	InviterName   string                  `json:"inviter_name,omitempty" doc:"what this node calls it; no part of the proof"`
	InviterDevice wire.DeviceID           `json:"inviter_device,omitzero"`
	Sponsor       wire.AccountID          `json:"sponsor,omitzero" doc:"who wrote the admission; absent where a harbor did"`
	SponsorDevice wire.DeviceID           `json:"sponsor_device,omitzero"`
	Admission     wire.OpID               `json:"admission"`
	AdmittedAt    time.Time               `json:"admitted_at"`
	Invite        wire.OpID               `json:"invite,omitzero"`
	InviteUses    int                     `json:"invite_uses,omitempty" doc:"how many the invite allowed"`
	InviteUntil   time.Time               `json:"invite_until,omitzero"`
	Signatures    Array[ConsentSignature] `json:"signatures" doc:"of the agreement, oldest first"`
	Names         Array[wire.AccountID]   `json:"names" doc:"all accounts the proof names"`
	Operations    int                     `json:"operations" doc:"how many signed operations were verified"`
	Shows         Array[string]           `json:"shows" doc:"what it shows, in words"`
	ShowsNot      Array[string]           `json:"shows_not" doc:"what it does not show, in words"`
}

// ConsentSignature is one half of an agreement.
type ConsentSignature struct {
	What      string         `json:"what" enum:"genesis,invite,request,invite-use,admit"`
	Account   wire.AccountID `json:"account,omitzero" doc:"absent where a harbor signed"`
	Key       string         `json:"key" doc:"Ed25519 key, hexadecimal"`
	At        time.Time      `json:"at" doc:"what the signed bytes say"`
	Signature string         `json:"signature" doc:"hexadecimal"`
}

// Proof is a consent proof that this node can hand out.
type Proof struct {
	Consent Consent `json:"consent"`
	Proof   []byte  `json:"proof" doc:"the file, base64"`
	Warning string  `json:"warning" doc:"what whoever hands it out should know"`
}

// In returns the consent with its words in a language.
func (c Consent) In(l Lang) Consent {
	zh := l == Chinese
	say := func(en, cn string) string {
		if zh {
			return cn
		}
		return en
	}
	c.Shows, c.ShowsNot = nil, nil
	switch c.Way {
	case WayFounded:
		c.Shows = append(c.Shows, say("This account made the group.", "这个账号创建了这个群。"))
	case WayPulledIn:
		c.Shows = append(c.Shows,
			say("The newcomer's device asked to be let in by this inviter, in this group, and signed it.", "新成员的设备请求由这位邀请人带入这个群，并签了名。"),
			say("The inviter's device let it in, and signed it.", "邀请人的设备同意其入群，并签了名。"))
	default:
		c.Shows = append(c.Shows,
			say("The inviter's device signed the invite whose passcode was used.", "邀请人的设备签署了所用口令的邀请。"),
			say("The newcomer's device asked to be let in by this invite, in this group, and signed it, with the passcode's key too.", "新成员的设备请求凭这个邀请进入这个群，用自己的密钥和口令的密钥都签了名。"),
			say("A member's device, or a harbor, let it in while the invite was in date.", "某位成员的设备或港湾在邀请有效期内同意其入群。"))
	}
	c.ShowsNot = append(c.ShowsNot,
		say("That the seat still stands: removals and leaving are not in it.", "席位是否仍然有效：其中不含移出和退群。"),
		say("That the group's limits were kept: uses, approval, seats.", "群的限制是否得到遵守：次数、审批、名额。"),
		say("Who the people behind the accounts are.", "账号背后是谁。"))
	return c
}

// In returns the proof with its words in a language.
func (p Proof) In(l Lang) Proof {
	p.Consent = p.Consent.In(l)
	p.Warning = "The file names every account listed under names, and when they came in. Whoever has it knows that they are, or were, in one group."
	if l == Chinese {
		p.Warning = "文件会写明 names 中列出的每个账号以及入群时间。得到它的人就知道他们在（或曾在）同一个群里。"
	}
	return p
}
