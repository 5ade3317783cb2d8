package identity

// Mutual is the one definition of mutual (I13): out and in are both there,
// each says "follows", and each is the other's reverse. nil is "no edge". The
// caller passes the newest edge of each direction, verified when it was first
// stored; Mutual does no cryptography, so that a list of a thousand people can
// be shown at once.
func Mutual(out, in *SignedEdge) bool {
	if out == nil || in == nil || out.Edge.check() != nil || in.Edge.check() != nil {
		return false
	}
	return out.Edge.From == in.Edge.To && out.Edge.To == in.Edge.From &&
		out.Edge.State == EdgeFollow && in.Edge.State == EdgeFollow
}
