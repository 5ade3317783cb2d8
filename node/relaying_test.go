package node

import (
	"slices"
	"strings"
	"testing"

	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

// hiddenNode has no address but at a relay.
func hiddenNode(t testing.TB, name string, relay *Node) *Node {
	t.Helper()
	n := startNode(t, t.TempDir(), name, func(c *Config) {
		c.Relaying = Relaying{Relay: api.RelayOnly, Relays: relay.mesh.Addrs()}
	})
	within(t, n, patience, name+" to have a place at the relay", func() bool { return len(n.mesh.Addrs()) > 0 })
	return n
}

// Two who have no address but at a relay that limits what it carries for
// strangers, join and talk over it, and neither tells another address, by code,
// card or record.
func TestTalkThroughARelay(t *testing.T) {
	t.Parallel()
	rel := startNode(t, t.TempDir(), "Rel", func(c *Config) { c.Relaying = Relaying{Service: api.On, For: api.RelayForAnyone} })
	ann, bo := hiddenNode(t, "Ann", rel), hiddenNode(t, "Bo", rel)
	g := newGroup(t, ann, api.GroupCreate{})
	inv := invite(t, ann, g, 1, "1d")
	code := must[invites.Found](t)(invites.Extract(inv.Passcode, ann.now())).Passcode
	for _, b := range code.Hints {
		if h := must[invites.Hint](t)(invites.UnpackHint(b)); !h.Circuit() || h.Relay != rel.mesh.Self() || h.Peer != ann.mesh.Self() {
			t.Errorf("the code tells %+v", h)
		}
	}
	if len(code.Hints) == 0 {
		t.Error("the code tells no way")
	}
	join(t, bo, inv)
	say(t, bo, g, "from behind")
	hears(t, ann, g, "from behind")
	say(t, ann, g, "from here too")
	hears(t, bo, g, "from here too")
	for _, n := range []*Node{ann, bo} {
		if got := n.mesh.Bound(); len(got) > 0 {
			t.Errorf("%s listens on %s", n.ownName(), got)
		}
		_, addrs, _, err := mesh.ParseRecord(n.mesh.Record())
		if err != nil || len(addrs) == 0 {
			t.Errorf("%s's record: %v, %v", n.ownName(), addrs, err)
		}
		card := must[api.Card](t)(n.Card(t.Context()))
		hints := must[api.Inspect](t)(n.Inspect(t.Context(), api.InspectRequest{Text: card.Text})).Hints
		for _, a := range slices.Concat(addrs, hints, n.Status(t.Context()).Addrs) {
			if !strings.Contains(a, "/p2p-circuit") {
				t.Errorf("%s tells %s", n.ownName(), a)
			}
		}
	}
	now := must[api.Network](t)(bo.Network(t.Context()))
	if now.Relay != api.RelayOnly || now.MDNS || now.PortMapping.State != api.MappingOff || len(now.Listen) > 0 || len(now.Advice) > 0 {
		t.Errorf("Bo's network: %+v", now)
	}
	if len(now.Relays) != 1 || now.Relays[0].Peer != rel.mesh.Self().String() || now.Relays[0].Until == nil || now.Relays[0].Problem != "" {
		t.Errorf("Bo's relays: %+v", now.Relays)
	}
	if len(now.Groups) != 1 || len(now.Groups[0].Peers) != 1 {
		t.Fatalf("Bo's groups: %+v", now.Groups)
	}
	if p := now.Groups[0].Peers[0]; p.Account != ann.dev.account() || p.Name != "Ann" || p.Path != api.PathRelayed || !p.Limited || !p.Linked || p.Transport == "" {
		t.Errorf("Ann, as Bo's network shows her: %+v", p)
	}
	if err := ann.Close(); err != nil {
		t.Fatal(err)
	}
	within(t, bo, patience, "Ann to be dialled in vain", func() bool {
		now = must[api.Network](t)(bo.Network(t.Context()))
		p := now.Groups[0].Peers
		return len(p) == 1 && !p[0].Linked && p[0].Problem != "" && p[0].Tried != nil
	})
	if len(now.Advice) != 1 || now.Advice[0].Code != api.AdviceNobody {
		t.Errorf("with nobody there: %+v", now.Advice)
	}
}

// A relay for whom one knows gives strangers no place, and one to whom its
// person follows, at once.
func TestRelayForKnown(t *testing.T) {
	t.Parallel()
	rel := startNode(t, t.TempDir(), "Rel", func(c *Config) { c.Relaying = Relaying{Service: api.On} })
	ann := startNode(t, t.TempDir(), "Ann", func(c *Config) {
		c.Relaying = Relaying{Relay: api.RelayOnly, Relays: rel.mesh.Addrs()}
	})
	within(t, ann, patience, "a refusal", func() bool { return rel.mesh.Stats().RelayRefused > 0 })
	if len(ann.mesh.Addrs()) > 0 {
		t.Fatal("a stranger has a place")
	}
	within(t, ann, patience, "the refusal to be told", func() bool {
		now := must[api.Network](t)(ann.Network(t.Context()))
		return len(now.Relays) == 1 && now.Relays[0].Problem != "" && len(now.Advice) == 1 && now.Advice[0].Code == api.AdviceRelayLost
	})
	if findings := must[[]api.Finding](t)(ann.Doctor(t.Context())); !slices.ContainsFunc(findings, func(f api.Finding) bool {
		return f.Check == "network" && f.Level == "warning" && strings.Contains(f.Title, "its relays alone")
	}) {
		t.Errorf("the doctor says %+v", findings)
	}
	follow(t, ann, rel) // who follows is a stranger still
	within(t, rel, patience, "the follow to arrive", func() bool { return len(rel.people.claimants(ann.mesh.Self())) > 0 })
	if rel.relaysFor(ann.mesh.Self()) {
		t.Error("whoever follows is relayed for")
	}
	rel.cfg.Serve = []wire.AccountID{ann.dev.account()}
	if !rel.relaysFor(ann.mesh.Self()) {
		t.Error("whom the configuration names is not relayed for")
	}
	must[api.Person](t)(rel.Block(t.Context(), ann.dev.account(), true))
	if rel.relaysFor(ann.mesh.Self()) {
		t.Error("who is blocked is relayed for, since the configuration names them")
	}
	must[api.Person](t)(rel.Block(t.Context(), ann.dev.account(), false))
	rel.cfg.Serve = nil
	follow(t, rel, ann)
	if !rel.relaysFor(ann.mesh.Self()) {
		t.Error("whom the relay's person follows is not relayed for")
	}
	anyone := api.RelayForAnyone
	must[api.Settings](t)(rel.PatchSettings(t.Context(), api.SettingsPatch{RelayFor: &anyone}))
	if s := rel.relayService(must[Relaying](t)(rel.relaying())); s == nil || s.For != nil || !s.Limited {
		t.Errorf("for anyone: %+v", s)
	}
}

func TestRelaySettings(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), "Ann", func(c *Config) { c.Relaying.PortMapping = api.Off })
	s := must[api.Settings](t)(n.Settings(t.Context()))
	if s.Relay != api.RelayAuto || s.RelayService != api.Off || s.RelayFor != api.RelayForKnown || s.PortMapping != api.Off || len(s.Relays) > 0 || s.Restart {
		t.Errorf("by default %+v", s)
	}
	text := func(s string) *string { return &s }
	at := "/ip4/192.0.2.1/tcp/4101/p2p/" + strings.SplitAfter(must[string](t)(mesh.FullAddr(n.mesh.Self(), "/ip4/192.0.2.1/tcp/4101")), "/p2p/")[1]
	many := make([]string, maxRelays+1)
	for i := range many {
		many[i] = at
	}
	for _, c := range []struct {
		in   api.SettingsPatch
		want api.Code
	}{
		{api.SettingsPatch{Relay: text("maybe")}, api.BadRequest},
		{api.SettingsPatch{Relay: text("only")}, api.BadRequest}, // without a relay
		{api.SettingsPatch{RelayService: text("yes")}, api.BadRequest},
		{api.SettingsPatch{RelayFor: text("friends")}, api.BadRequest},
		{api.SettingsPatch{Relays: &[]string{"/ip4/192.0.2.1/tcp/4101"}}, api.BadRequest}, // who is it?
		{api.SettingsPatch{Relays: &[]string{at + "/p2p-circuit" + strings.TrimPrefix(at, "/ip4/192.0.2.1/tcp/4101")}}, api.BadRequest},
		{api.SettingsPatch{Relays: &many}, api.BadRequest},
		{api.SettingsPatch{PortMapping: text("on")}, api.NotAllowed}, // the configuration says otherwise
	} {
		if _, err := n.PatchSettings(t.Context(), c.in); code(err) != c.want {
			t.Errorf("%+v: %v, want %s", c.in, err, c.want)
		}
	}
	s = must[api.Settings](t)(n.PatchSettings(t.Context(), api.SettingsPatch{Relay: text("only"), Relays: &[]string{at}, RelayService: text("on")}))
	if s.Relay != "only" || !slices.Equal(s.Relays, []string{at}) || s.RelayService != "on" || !s.Restart {
		t.Errorf("changed to %+v", s)
	}
	if _, err := n.PatchSettings(t.Context(), api.SettingsPatch{Relays: &[]string{}}); code(err) != api.BadRequest {
		t.Errorf("relay only was left without a relay: %v", err)
	}
	if _, err := Open(t.Context(), Config{Home: t.TempDir(), Relaying: Relaying{Relay: "sometimes"}}); err == nil {
		t.Error("nonsense in the configuration was taken")
	}
}
