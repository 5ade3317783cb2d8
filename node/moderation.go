package node

import (
	"encoding/hex"
	"slices"
	"strings"

	"mutuals/groups"
	"mutuals/groups/timeline"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// checkReason tells what is wrong with the reason of an act; none is fine.
func checkReason(reason string) error {
	switch {
	case reason == "":
		return nil
	case len(reason) > groups.MaxReason:
		return api.NewProblem(api.TooLarge, "max", "1 KiB")
	case strings.TrimSpace(reason) == "":
		return api.NewProblem(api.BadRequest).Explain("the reason is blank")
	}
	return nil
}

// explain tells the group why this account did something, in the same commit:
// after a removal under the new epoch, so that who was removed does not read
// it.
func (r *room) explain(c *commit, reason string, acts ...wire.OpID) error {
	if reason == "" || len(acts) == 0 {
		return nil
	}
	slices.SortFunc(acts, func(a, b wire.OpID) int { return slices.Compare(a[:], b[:]) })
	if err := r.sayProfile(c); err != nil {
		return err
	}
	_, err := r.say(c, groups.ContentModeration, groups.Moderation{Ops: acts, Reason: reason}.Encode())
	return err
}

// maxReasons bounds the messages remembered as reasons of one act: its author
// may correct itself a few times.
const maxReasons = 8

// reasonRow lists the messages that give an act's reason.
type reasonRow struct {
	_    struct{} `cbor:",toarray"`
	V    uint64
	Said []wire.OpID
}

func reasonKey(g wire.GroupID, act wire.OpID) string {
	return "reason/" + hex.EncodeToString(g[:12]) + "/" + hex.EncodeToString(act[:12])
}

// noteReason remembers of each act which message gives its reason, for the log
// of acts. Whether that message counts is looked at when the log is read.
func (r *room) noteReason(c *commit, e timeline.Entry) {
	if e.Folded == timeline.Malformed || e.Folded == timeline.NotAllowed {
		return
	}
	why, err := groups.DecodeModeration(e.Payload)
	if err != nil {
		return
	}
	c.row(func(tx *store.Tx) error {
		for _, act := range why.Ops {
			row, err := reasonsOf(tx, r.group, act)
			if err != nil {
				return err
			}
			if slices.Contains(row.Said, e.ID) || len(row.Said) >= maxReasons {
				continue
			}
			row.V, row.Said = 1, append(row.Said, e.ID)
			if err := tx.PutSetting(reasonKey(r.group, act), wire.Marshal(row)); err != nil {
				return err
			}
		}
		return nil
	})
}

func reasonsOf(tx *store.Tx, g wire.GroupID, act wire.OpID) (row reasonRow, err error) {
	b, ok, err := tx.Setting(reasonKey(g, act))
	if err != nil || !ok {
		return row, err
	}
	return row, wire.Unmarshal(b, &row)
}

// addReasons fills in what the actors said of their acts: of several messages
// the last in the timeline that is not folded.
func (r *room) addReasons(acts []api.Act) error {
	return r.n.store.View(func(tx *store.Tx) error {
		for i := range acts {
			row, err := reasonsOf(tx, r.group, acts[i].ID)
			if err != nil {
				return err
			}
			var last timeline.Key
			for _, id := range row.Said {
				found, ok, err := tx.Entry(r.group, id)
				if err != nil {
					return err
				}
				if !ok {
					continue
				}
				e, err := entryOf(found)
				if err != nil {
					return err
				}
				if why, ok := e.Moderation(); ok && last.Compare(e.Key()) < 0 {
					acts[i].Reason, last = why.Reason, e.Key()
				}
			}
		}
		return nil
	})
}

// actsOf are acts as their readers see them, without reasons.
func (n *Node) actsOf(acts []groups.Act) []api.Act {
	out := make([]api.Act, len(acts))
	for i, a := range acts {
		act := api.Act{
			ID: a.ID, At: msTime(a.AtMs), Kind: a.Kind.String(), Actor: a.Actor, Device: a.Device, Target: a.Target,
			TargetDevice: a.TargetDevice, Invite: a.Invite, InForce: a.InForce, Provisional: !a.Settled,
		}
		if !a.Actor.IsZero() {
			act.ActorName = n.nameOf(a.Actor)
		}
		if !a.Target.IsZero() {
			act.TargetName = n.nameOf(a.Target)
		}
		switch a.Kind {
		case groups.KindRole:
			act.Role = a.Role.String()
		case groups.KindGenesis, groups.KindPolicy:
			p := policyAPI(a.Policy)
			act.Cap, act.Policy = a.Cap, &p
		}
		if !a.InForce {
			act.Void = voidOf(a.Why, a.VoidBy)
		}
		out[i] = act
	}
	return out
}

func voidOf(c groups.Cause, by wire.OpID) *api.Void {
	return &api.Void{Cause: c.String(), Text: api.VoidText(c.String(), api.English), By: by}
}
