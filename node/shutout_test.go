package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh/meshtest"
)

// Members who are behind, whose operations wait for others, who come back over
// and over and live at one address are blamed for nothing.
func TestHonestAreNotBlamed(t *testing.T) {
	t.Parallel()
	s := newSiege(t)
	home := t.TempDir()
	cy := startNode(t, home, "Cy", nil)
	join(t, cy, invite(t, s.ann, s.group, 1, ""))
	for i := range 5 {
		cy.Close()
		for j := range 20 {
			say(t, s.ann, s.group, fmt.Sprint("while Cy is away ", i, j))
			say(t, s.bo, s.group, fmt.Sprint("and Bo ", i, j))
		}
		cy = startNode(t, home, "Cy", nil)
		for range 10 { // links that break in the middle of it
			cy.mesh.ClosePeer(s.ann.mesh.Self())
			s.bo.mesh.ClosePeer(cy.mesh.Self())
			say(t, cy, s.group, fmt.Sprint("back ", i))
			cy.mesh.RedialAll()
		}
		same(t, s.group, s.ann, s.bo, cy)
	}
	lowest := 0.0
	for _, n := range []*Node{s.ann, s.bo, cy} {
		if st := n.mesh.Stats(); st.Faults+st.Shunned+st.Rejected > 0 {
			t.Errorf("%s: %d faults, %d times shut out, %d frames rejected", n.ownName(), st.Faults, st.Shunned, st.Rejected)
		}
		for _, p := range must[[]api.Peer](t)(n.Peers(t.Context())) {
			lowest = min(lowest, p.Score)
		}
	}
	if lowest < 0 {
		t.Errorf("an honest member's score is %v", lowest)
	}
}

// Who is shut out shows where a person looks, by name if it has one.
func TestShutOutShows(t *testing.T) {
	s := newSiege(t)
	within(t, s.ann, patience, "Bo's name", func() bool { return s.ann.nameOf(s.bo.dev.account()) == "Bo" })
	for range 20 {
		s.ann.mesh.Blame(s.bo.mesh.Self())
	}
	findings := must[[]api.Finding](t)(s.ann.Doctor(t.Context()))
	if !slices.ContainsFunc(findings, func(f api.Finding) bool {
		return f.Check == "peers" && f.Level == "warning" && strings.Contains(f.Title, "Bo")
	}) {
		t.Errorf("doctor says nothing of Bo: %+v", findings)
	}
	if s.ann.mesh.Connected(s.bo.mesh.Self()) {
		t.Error("Bo is linked")
	}
	s.ann.mesh.Pardon(s.bo.mesh.Self())
	s.ann.mesh.RedialAll()
	s.flows(t)
}

// A device that tells another address every second costs the disk ten writes,
// and then one a minute.
func TestAddressesWithoutEnd(t *testing.T) {
	n := testNode(t, "Ann")
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	peer := wire.PeerKey(key.Public().(ed25519.PublicKey))
	before, kept := n.store.LastChange(), map[string]bool{}
	for i := range 200 {
		n.learnRecords([][]byte{must[[]byte](t)(meshtest.Record(key, fmt.Sprintf("/ip4/192.0.2.%d/tcp/1", i)))})
		kept[fmt.Sprint(n.addrsOf(peer))] = true
	}
	if len(kept) == 0 || len(kept) > 12 {
		t.Errorf("%d of 200 addresses were kept, change %d to %d", len(kept), before, n.store.LastChange())
	}
}
