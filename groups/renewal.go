package groups

import "slices"

// Stale tells whether the epoch that would be sent under, eligible as it is,
// is to be replaced before the next message (R35): a code it was wrapped for
// has expired or is used up, so that whoever still holds the code would go on
// reading; or a harbor has lost its office since, and may know the topic: it is
// told while it is in office, whenever the epoch began. nowMs is the sender's
// clock: what is stale is a matter of sending, never of reading.
func (l *Log) Stale(e Epoch, nowMs uint64) bool {
	s := l.State()
	k, ok := s.find(e.Rekey)
	if !ok || s.r.nodes[k].op.Kind != KindRekey {
		return false
	}
	past := l.rekeyPast(k)
	for i := range past.recipients.all() {
		if !s.r.nodes[i].isDevice() && !s.inviteInfo(i).Live(nowMs) {
			return true
		}
	}
	return slices.ContainsFunc(s.harbors(), func(i int) bool {
		return !past.dismissed.has(i) && !s.harborInfo(i).Appointed
	})
}
