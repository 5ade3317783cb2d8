package node

import (
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/node/api"
)

// Each cause has words in both languages.
func TestCausesHaveWords(t *testing.T) {
	for c := groups.CauseStopped; c <= groups.CauseOwnerStays; c++ {
		en, zh := api.VoidText(c.String(), api.English), api.VoidText(c.String(), api.Chinese)
		if c.String() == "" || en == "" || zh == "" || en == zh {
			t.Errorf("%d: %q, %q, %q", c, c, en, zh)
		}
	}
}

// The audit of a time tells of that time, the proof of a member is what anybody
// can judge, also a node without an identity.
func TestAuditAndProof(t *testing.T) {
	a, nobody := testNode(t, "Ann"), openNode(t, t.TempDir())
	g := must[api.Group](t)(a.CreateGroup(t.Context(), api.GroupCreate{Name: "Books"})).ID
	x := crowd(t, a, g, 2)
	now := must[api.Audit](t)(a.Audit(t.Context(), g, time.Time{}))
	if len(now.Members) != 4 || now.Owner != a.dev.account() || now.Members[0].Way != api.WayFounded || now.Members[0].RoleBy != now.Acts[0].ID {
		t.Fatalf("%+v", now.Members)
	}
	first := must[api.Audit](t)(a.Audit(t.Context(), g, now.Acts[0].At))
	if len(first.Members) != 1 || len(first.Acts) != 1 || first.Acts[0].Kind != api.ActGenesis {
		t.Errorf("at the beginning: %d members, %d acts", len(first.Members), len(first.Acts))
	}
	if _, err := a.Audit(t.Context(), g, now.Acts[0].At.Add(-time.Second)); code(err) != api.NotFound {
		t.Errorf("before it: %v", err)
	}
	for _, m := range now.Members {
		p := must[api.Proof](t)(a.Proof(t.Context(), g, m.Account))
		c := must[api.Consent](t)(nobody.VerifyProof(t.Context(), p.Proof))
		if c.Account != m.Account || c.Way != m.Way || c.Inviter != m.Inviter || c.Admission != m.Admission || c.Name != "" || len(c.Shows) == 0 {
			t.Errorf("%+v", c)
		}
		p.Proof[len(p.Proof)/2] ^= 1
		if _, err := nobody.VerifyProof(t.Context(), p.Proof); code(err) != api.ProofInvalid {
			t.Errorf("changed: %v", err)
		}
	}
	must[api.Member](t)(a.RemoveMember(t.Context(), g, x.Account, ""))
	if _, err := a.Proof(t.Context(), g, x.Account); err != nil {
		t.Errorf("of who was removed: %v", err)
	}
	if _, err := a.Proof(t.Context(), g, [32]byte{1}); code(err) != api.NotFound {
		t.Errorf("of a stranger: %v", err)
	}
}
