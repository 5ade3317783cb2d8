package groups

// Stale tells whether the epoch that would be sent under, eligible as it is,
// is to be replaced before the next message (R35): a code it was wrapped for
// has expired or is used up, so that whoever still holds the code would go on
// reading; or a harbor that was in office is not any more, and knows the
// topic. nowMs is the sender's clock: what is stale is a matter of sending,
// never of reading.
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
	for i := range past.seated.all() {
		if s.r.nodes[i].isHarbor() && !s.harborInfo(i).Appointed {
			return true
		}
	}
	return false
}
