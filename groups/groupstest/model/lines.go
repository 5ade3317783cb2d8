package model

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// Lines writes a state down in the words of
// groups/testdata/vectors/graphs/README.md, without why a void operation is
// void.
func (v *View) Lines() []string {
	var out []string
	say := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	var at uint64
	for _, o := range v.ops {
		at = max(at, o.HLC)
	}
	say("at %d", at)
	say("group %x", v.ops[0].ID[:])
	var heads []string
	for _, o := range v.ops {
		if !slices.ContainsFunc(v.ops, func(n *node) bool { return n.after(o) }) {
			heads = append(heads, hex.EncodeToString(o.ID[:]))
		}
	}
	slices.Sort(heads)
	say("heads %s", strings.Join(heads, " "))
	for _, w := range v.owners {
		say("owner %x by %x settled %s", w.owner[:], w.op.ID[:], yes(w.settled))
	}
	v.sayForks(say)
	cap, p := v.laws()
	say("cap %d", cap)
	say("policy history=%d who=%d posting=%d succeed=%d waitlist=%d direct=%s", p.HistoryDays, p.WhoInvites, p.Posting, p.SucceedDays, p.Waitlist, orNone(p.Direct))
	v.sayMembers(say)
	v.sayIncs(say)
	byKey := slices.Clone(v.ops)
	slices.SortFunc(byKey, byOrder)
	for _, h := range byKey {
		if h.isHarbor() {
			rights, quota := v.rights(h)
			if len(v.harborActs(h)) == 0 { // then what was asked for
				rights, quota = h.Body.(*groups.HarborBody).Rights, h.Body.(*groups.HarborBody).Quota
			}
			say("harbor %x key=%x rights=%d quota=%d appointed=%s", h.ID[:], h.key[:], rights, quota, yes(v.inOffice(h)))
		}
	}
	for _, i := range byKey {
		if b, ok := i.Body.(*groups.InviteBody); ok {
			say("invite %x inviter=%x used=%d of=%d until=%d valid=%s revoked=%s gone=%s", i.ID[:], i.inc.who[:], min(uint64(len(v.citing(i))), b.MaxUses),
				b.MaxUses, b.NotAfterMs, yes(v.validOp(i)), yes(v.revoked(i)), yes(!v.live(i.inc.base)))
		}
	}
	for _, o := range byKey {
		say("op %x %v %s", o.ID[:], o.Kind, map[bool]string{true: "in-force", false: "void"}[v.validOp(o)])
	}
	for _, r := range v.Recipients(at) {
		say("recipient %x %s", r.ID[:], map[bool]string{true: "invite", false: "device"}[r.Invite])
	}
	for _, k := range v.rekeys() {
		if v.Eligible(k.ID) {
			say("eligible %x gen=%d", k.ID[:], k.Body.(*groups.RekeyBody).Gen)
		}
	}
	say("rekey needed %s", yes(v.NeedRekey()))
	return out
}

func byOrder(a, b *node) int {
	switch {
	case a == b:
		return 0
	case a.less(b):
		return -1
	}
	return 1
}

// sayForks: of each uncut inc the first two operations of one place.
func (v *View) sayForks(say func(string, ...any)) {
	var incs []*node
	for _, i := range v.ops {
		if i.isInc && v.uncut(i) {
			incs = append(incs, i)
		}
	}
	slices.SortFunc(incs, func(a, b *node) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	for _, i := range incs {
		var wrote []*node
		for _, o := range v.ops {
			if o.inc == i && o != i {
				wrote = append(wrote, o)
			}
		}
		slices.SortFunc(wrote, byOrder)
		var best [2]*node
		for n, b := range wrote {
			for _, a := range wrote[:n] {
				if a.Seq == b.Seq && (best[0] == nil || a.Seq < best[0].Seq) {
					best = [2]*node{a, b}
				}
			}
		}
		if a, b := best[0], best[1]; a != nil {
			if bytes.Compare(a.ID[:], b.ID[:]) > 0 {
				a, b = b, a
			}
			say("contradiction %x %d %x %x", i.ID[:], a.Seq, a.ID[:], b.ID[:])
		}
	}
}

func (v *View) sayMembers(say func(string, ...any)) {
	one := func(a wire.AccountID, status string, wait int, via *node) {
		var inviter wire.AccountID
		if b, ok := via.Body.(*groups.AdmitBody); ok {
			inviter = b.Request.Inviter
		}
		say("member %x %s %v wait=%d via=%x inviter=%s provisional=%s", a[:], status, v.role(a), wait, via.ID[:], orNone(inviter[:]), yes(v.candidate(a) && !v.seenByRanks(via)))
	}
	cap := v.Cap()
	for n, s := range v.seats {
		if n < cap {
			one(s.account, "seated", 0, s.via)
		} else {
			one(s.account, "waitlisted", n-cap+1, s.via)
		}
	}
	last := map[wire.AccountID]*node{}
	for _, i := range v.incs() {
		if i.base == i && v.validOp(i) && !v.candidate(i.who) && (last[i.who] == nil || last[i.who].less(i)) {
			last[i.who] = i
		}
	}
	var gone []*node
	for _, i := range last {
		gone = append(gone, i)
	}
	slices.SortFunc(gone, byOrder)
	for _, i := range gone {
		outs := slices.Concat(v.leaves(i.who), v.removes(i.who))
		slices.SortFunc(outs, byOrder)
		status := "left"
		if n := len(outs); n > 0 && outs[n-1].Kind == groups.KindRemove {
			status = "removed"
		}
		one(i.who, status, 0, i)
	}
}

// seenByRanks: the owner and every admin there wrote something uncut that has o in its
// past, or is it; whom o let in need not.
func (v *View) seenByRanks(o *node) bool {
	return !slices.ContainsFunc(v.seats, func(s seat) bool {
		return s.role != groups.RoleMember && s.account != o.who && !slices.ContainsFunc(v.ops, func(n *node) bool { return n.by(s.account) && !v.cut(n) && (n == o || n.after(o)) })
	})
}

func (v *View) sayIncs(say func(string, ...any)) {
	incs := v.incs()
	slices.SortFunc(incs, func(a, b *node) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	for _, i := range incs {
		shown := fmt.Sprint(v.Limit(i.ID))
		if v.Limit(i.ID) == math.MaxUint64 {
			shown = "all"
		}
		if !v.incValid(i) {
			shown = "0"
		}
		say("inc %x account=%x key=%x base=%x live=%s valid=%s cut=%s seated=%s shown=%s", i.ID[:], i.who[:], i.key[:], i.base.ID[:],
			yes(v.live(i)), yes(v.incValid(i)), yes(!v.uncut(i)), yes(v.seatedInc(i)), shown)
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func orNone(b []byte) string {
	if len(bytes.Trim(b, "\x00")) == 0 {
		return "-"
	}
	return hex.EncodeToString(b)
}
