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
