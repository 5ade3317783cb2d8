package node

import (
	"mutuals/groups"
	"mutuals/identity/wire"
)

// sayProfile gives the own profile to the group, once for each change of it.
func (r *room) sayProfile(c *commit) error {
	p := r.n.ownProfile()
	if p == nil || r.meta.ProfileN >= p.Profile.N {
		return nil
	}
	if _, err := r.say(c, groups.ContentProfile, groups.ProfileContent{Signed: wire.Marshal(*p)}.Encode()); err != nil {
		return err
	}
	r.meta.ProfileN = p.Profile.N
	r.saveMeta(c)
	return nil
}

// tickGroup does what a seated member owes the group by and by: its profile
// once it can be read, and an answer to the operations nobody of rank has
// acknowledged.
func (r *room) tickGroup() {
	v := r.view.Load()
	if _, ok := r.sendEpoch(); !v.seated() || !ok {
		return
	}
	p := r.n.ownProfile()
	if p == nil || r.meta.ProfileN >= p.Profile.N {
		return
	}
	if err := r.commit(r.sayProfile); err != nil {
		r.log.Debug("telling the profile failed", "err", err)
	}
}

// ownersOf lists the accounts a peer was a device of in this group, whatever
// became of them; on the room's goroutine.
func (r *room) ownersOf(peer wire.PeerKey) []wire.AccountID {
	var out []wire.AccountID
	for _, m := range r.g.State().Members() {
		for _, inc := range m.Incs {
			if inc.Peer == peer {
				out = append(out, m.Account)
				break
			}
		}
	}
	return out
}
