package node

import (
	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
)

// Who was away for long waits for the room, which takes in one run after the other. What
// needs nothing of it but its keys is done by who reads the runs, for the next of them
// while it is busy: verifying signatures and opening boxes, two fifths of what the room
// did before it wrote.
// Whether a message counts, and may be read, is judged as ever.

// ahead is what was found in the boxes of some operations before the room has judged
// them.
type ahead map[*groups.Op]groups.Plain

// lookAhead verifies the signatures that a run of content is judged by, and opens what
// can be opened by the keys of the moment. What it says nothing of the room finds out.
func (r *room) lookAhead(ops []*groups.Op) ahead {
	v, author := r.view.Load(), ops[0].IncID()
	inc, known := v.state.Inc(author)
	if !known {
		return nil
	}
	out := make(ahead, len(ops))
	var eid [32]byte
	var sender seal.SenderKey
	for i, op := range ops {
		if op.Chain != groups.Content || op.IncID() != author || op.Seq != ops[0].Seq+uint64(i) {
			break // it is refused as a run; a signature may be anybody's, or one again and again
		}
		if i == len(ops)-1 || op.Seq%groups.SignedEvery == 0 {
			op.Authenticate(r.group, inc.Device)
		}
		keys, here := v.keys[op.EID]
		if !here || !op.Whole() {
			continue
		}
		if i == 0 || op.EID != eid {
			eid, sender = op.EID, keys.Sender(author)
		}
		if plain, ok := openBox(sender.Message(op.Seq, op.Salt), r.group, op); ok {
			out[op] = plain
		}
	}
	return out
}

func openBox(key seal.MessageKey, group wire.GroupID, op *groups.Op) (groups.Plain, bool) {
	b, err := key.Open(groups.ContentAAD(group, op), op.Cipher)
	if err != nil {
		return groups.Plain{}, false
	}
	plain, err := groups.DecodePlain(b)
	return plain, err == nil
}
