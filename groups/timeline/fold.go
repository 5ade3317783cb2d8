package timeline

import (
	"mutuals/groups"
)

// LateMs is how far behind its hlc content may arrive without a mark: ten
// minutes are a lost connection, more is worth a word.
const LateMs = 10 * 60 * 1000

// Known gives the OrderMs of the entry whose id begins with prefix; ok is
// false when there is none. Entries that could not be read stand in the order
// too.
type Known func(prefix [16]byte) (orderMs uint64, ok bool)

// Fold makes the entry of an operation's plaintext (T1–T4). It never fails:
// what is malformed becomes a folded entry.
func Fold(p Place, plain groups.Plain, known Known) Entry {
	e := begin(p)
	e.Kind = plain.Kind
	e.After = plain.After
	e = e.Reorder(known)
	switch plain.Kind {
	case groups.ContentText:
		t, err := groups.DecodeText(plain.Payload)
		if err != nil {
			return e.spoiled(Malformed)
		}
		e.Text, e.ReplyTo, e.Mentions, e.Files = t.Text, t.ReplyTo, t.Mentions, t.Files
	case groups.ContentProfile:
		who, err := Profile(p.Author, plain.Payload)
		if err != nil {
			return e.spoiled(Malformed)
		}
		e.Text, e.Payload = who.Profile.Name, plain.Payload
	case groups.ContentGroupInfo:
		g, err := groups.DecodeGroupInfo(plain.Payload)
		if err != nil {
			return e.spoiled(Malformed)
		}
		if !p.Ranked {
			return e.spoiled(NotAllowed)
		}
		e.Text, e.Payload = g.Name, plain.Payload
	case groups.ContentModeration:
		m, err := groups.DecodeModeration(plain.Payload)
		if err != nil {
			return e.spoiled(Malformed)
		}
		for _, id := range m.Ops {
			if p.Acted == nil || !p.Acted(id) {
				return e.spoiled(NotAllowed)
			}
		}
		e.Text, e.Payload = m.Reason, plain.Payload
	default:
		e.Newer, e.Payload = true, plain.Payload
	}
	return e
}

// Unread makes the entry of an operation whose box does not open, whose
// plaintext is malformed, or whose body is missing; it stands at its hlc.
func Unread(p Place, why Folded) Entry { return begin(p).spoiled(why) }

// Reorder computes the entry's place anew (T1). Call it when an entry it
// Awaits has come; compare Key before and after.
func (e Entry) Reorder(known Known) Entry {
	e.OrderMs, e.Awaits = e.HLC, nil
	for _, a := range e.After {
		ms, ok := known(a)
		if !ok {
			e.Awaits = append(e.Awaits, a)
			continue
		}
		e.OrderMs = max(e.OrderMs, ms+1)
	}
	return e
}

func begin(p Place) Entry {
	return Entry{
		ID: p.ID, Group: p.Group, Inc: p.Inc, Author: p.Author, Device: p.Device,
		Seq: p.Seq, HLC: p.HLC, OrderMs: p.HLC,
		Late:   p.ArrivedMs > p.HLC+LateMs,
		Folded: p.Folded, Payload: emptyPayload(),
	}
}

// spoiled folds an entry, unless its standing says something stronger.
func (e Entry) spoiled(why Folded) Entry {
	if e.Folded == Shown {
		e.Folded = why
	}
	return e
}
