package node

import (
	"time"

	"mutuals/groups"
)

const (
	// ackAfter and ackMany are when a device of the owner or an admin answers
	// for admissions nobody of rank has acknowledged: a day, or so many of
	// them (groups/SPEC.md R22; PROTOCOLS.md N7).
	ackAfter = 24 * time.Hour
	ackMany  = 20
	// epochAge and epochOps end an epoch that nothing else ended: a week, or
	// so many messages, bound what one stolen secret opens.
	epochAge = 7 * 24 * time.Hour
	epochOps = 5000
	// signsOfLife is how many a succession's days of silence are long: two may
	// be lost and nobody takes the owner for gone.
	signsOfLife = 3
	// turn is how long each seat waits for the one before it to do such a
	// duty, so that usually one device does.
	turn = time.Minute
)

// tickGroup does what a seated member owes the group by and by: its profile
// once there is an epoch, an acknowledgement, a sign of life, a fresh epoch.
func (r *room) tickGroup() {
	v := r.view.Load()
	e := v.epoch
	if !v.seated() || e.Gen == 0 || r.mayWrite() != nil {
		return
	}
	if p := r.n.ownProfile(); p != nil && r.meta.ProfileN < p.Profile.N {
		if err := r.commit(r.sayProfile); err != nil {
			r.log.Debug("telling the profile failed", "err", err)
		}
	}
	now := r.n.now()
	if now.Before(r.dutyAt) {
		return
	}
	ack := v.state.Role(r.n.dev.account()) != groups.RoleMember && r.ackDue(v.state, now) || r.lifeDue(v.state) || r.settleDue(v.state)
	rekey := r.worn(e)
	switch {
	case !ack && !rekey:
		r.dutyAt = time.Time{}
		return
	case r.dutyAt.IsZero():
		if wait := time.Duration(r.seatIndex(v.state)) * turn; wait > 0 {
			r.dutyAt = now.Add(wait)
			return
		}
	}
	r.dutyAt = time.Time{}
	err := r.commit(func(c *commit) error {
		if rekey {
			return r.rekey(c) // an operation of rank acknowledges too
		}
		_, err := r.own(c, groups.KindAck, &groups.AckBody{})
		return err
	})
	if err != nil {
		r.log.Warn("a duty to the group failed", "err", err)
		r.dutyAt = now.Add(turn)
	}
}

// unacked are the admissions that nobody of rank has acknowledged in a state:
// all members are looked at once for each state, not at each tick.
type unacked struct {
	of       *groups.State
	waiting  int
	oldestMs uint64
}

func countUnacked(s *groups.State) unacked {
	u := unacked{of: s}
	for _, m := range s.Members() {
		if !m.Provisional || m.Status != groups.StatusSeated && m.Status != groups.StatusWaitlisted {
			continue
		}
		if u.waiting++; u.waiting == 1 || m.JoinedMs < u.oldestMs {
			u.oldestMs = m.JoinedMs
		}
	}
	return u
}

// ackDue tells whether admissions wait for somebody of rank to acknowledge
// them.
func (r *room) ackDue(s *groups.State, now time.Time) bool {
	if r.unacked.of != s {
		r.unacked = countUnacked(s)
	}
	u := r.unacked
	return u.waiting >= ackMany || u.waiting > 0 && now.Sub(msTime(u.oldestMs)) > ackAfter
}

// lifeDue tells whether the owner, which this is a device of, has been silent
// for a third of the days after which the admins may elect another.
func (r *room) lifeDue(s *groups.State) bool {
	days := s.Policy().SucceedDays
	if days == 0 || s.Owner() != r.n.dev.account() {
		return false
	}
	return time.Duration(s.OwnerSilentMs(r.n.nowMs()))*time.Millisecond >= time.Duration(days)*24*time.Hour/signsOfLife
}

// settleDue tells whether this account owes its word on a handover: each writes
// something when it has heard of it, and again three days later, which settles it
// (groups/SPEC.md R21).
func (r *room) settleDue(s *groups.State) bool {
	return s.OwesWord(r.n.dev.account(), r.n.nowMs())
}
