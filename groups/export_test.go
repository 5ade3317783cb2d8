package groups

// ResolveAgain resolves a log's operations without what it remembers.
func ResolveAgain(l *Log) *State { return l.resolve(l.g.nodes, l.all) }

// ApplyAgain judges an operation, applies it to a log, takes it back out and
// returns the state it gave.
func ApplyAgain(l *Log, o *Op) *State {
	was, nodes := *l, l.g.nodes
	j := l.Judge(o, o.HLC)
	if j.Verdict != Accept {
		panic(j.Reason.String())
	}
	l.Apply(o)
	s := l.State()
	l.g.nodes = nodes
	delete(l.g.index, o.ID)
	pasts, order := l.pasts, l.order
	all := indexes(append([]uint64(nil), was.all...))
	*l = was
	l.pasts, l.order = pasts, order
	if len(all)*64 > len(nodes) && all.has(len(nodes)) {
		all[len(nodes)>>6] &^= 1 << (len(nodes) & 63)
	}
	l.all = all
	return s
}
