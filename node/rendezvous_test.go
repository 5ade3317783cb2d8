package node

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
)

// codesOf are the rendezvous secrets of the codes for which a node is listed.
func codesOf(t testing.TB, n *Node, g wire.GroupID) (out [][32]byte) {
	t.Helper()
	inRoom(t, n, g, func(r *room) {
		for _, c := range r.lobbyCodes(r.view.Load()) {
			out = append(out, c.Rdv)
		}
	})
	return out
}

func rdvOf(t testing.TB, inv api.Invite) [32]byte {
	t.Helper()
	return must[invites.Found](t)(invites.Extract(inv.Passcode, time.Now())).Passcode.Keys().Rdv
}

// Where the holders of a code look is told to members and to harbors that let
// people in; a harbor is listed for it, a member if its person says so; and
// neither when the code is dead.
func TestLobbyCodes(t *testing.T) {
	t.Parallel()
	a, b, h := testNode(t, "Ann"), testNode(t, "Bo"), harborNode(t, t.TempDir())
	g := newGroup(t, a, api.GroupCreate{})
	join(t, b, invite(t, a, g, 1, ""))
	appoint(t, a, h, g, api.RightStore, api.RightSponsor)
	inv := must[api.Invite](t)(a.CreateInvite(t.Context(), g, api.InviteCreate{}))
	asks := must[api.Invite](t)(a.CreateInvite(t.Context(), g, api.InviteCreate{Approve: true}))
	mine := must[api.Invite](t)(a.CreateInvite(t.Context(), g, api.InviteCreate{Redeem: api.RedeemMe}))
	want := func(n *Node, what string, want ...api.Invite) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for {
			got := codesOf(t, n, g)
			if len(got) == len(want) && !slices.ContainsFunc(want, func(i api.Invite) bool { return !slices.Contains(got, rdvOf(t, i)) }) {
				return
			}
			select {
			case <-n.rdv.bell: // nobody else listens: the directory is off here
			case <-ctx.Done():
				t.Fatalf("%s: listed for %d codes, want %d", what, len(got), len(want))
			}
		}
	}
	announce := func(n *Node, v string) {
		t.Helper()
		must[api.Settings](t)(n.PatchSettings(t.Context(), api.SettingsPatch{Announce: &v}))
	}
	want(a, "the maker to be listed", inv, asks, mine)
	want(h, "the harbor to be listed for what it may admit by", inv)
	want(b, "a member not to be listed unasked")
	announce(b, api.AnnounceAll)
	want(b, "a member to be listed for what it may admit by", inv, asks)
	announce(a, api.AnnounceOff)
	want(a, "nobody to be listed who does not want to")
	if _, err := a.PatchSettings(t.Context(), api.SettingsPatch{Announce: new(string)}); code(err) != api.BadRequest {
		t.Errorf("an unknown value: %v", err)
	}
	must[api.Invite](t)(a.RevokeInvite(t.Context(), g, inv.ID.String()))
	same(t, g, a, b)
	want(b, "a dead code to be left", asks)
	want(h, "a dead code to be left by the harbor")

	// A member's word about another's code does not replace its maker's, a
	// stranger's counts nothing.
	lie := lobbyMsg{Group: g, Codes: []lobbyRow{{Invite: asks.ID, Rdv: [32]byte{1}}, {Invite: wire.OpID{9}, Rdv: [32]byte{2}}}}
	inRoom(t, b, g, func(r *room) {
		if rows := r.loadLobby(); len(rows) < 2 {
			t.Errorf("%d rows", len(rows))
		}
	})
	c := testNode(t, "Cai")
	join(t, c, invite(t, a, g, 1, ""))
	same(t, g, a, b, c)
	if err := b.takeLobby(t.Context(), c.mesh.Self(), wire.Marshal(lie)); !errors.Is(err, errLacks) {
		t.Errorf("a member's word: %v", err)
	}
	want(b, "the maker's word to stand", asks)
	for name, from := range map[string]wire.PeerKey{"a stranger": {1}, "a harbor": h.mesh.Self()} {
		if err := b.takeLobby(t.Context(), from, wire.Marshal(lie)); !isRefusal(err) {
			t.Errorf("%s's word: %v", name, err)
		}
	}
	lie.Codes = make([]lobbyRow, maxLobbyCodes+1)
	if err := b.takeLobby(t.Context(), a.mesh.Self(), wire.Marshal(lie)); !isRefusal(err) {
		t.Errorf("too many: %v", err)
	}
	// Who has no seat, as who was let in a moment ago and does not know yet, is told
	// again.
	lie.Codes = nil
	must[api.Group](t)(b.LeaveGroup(t.Context(), g))
	if err := b.takeLobby(t.Context(), a.mesh.Self(), wire.Marshal(lie)); !errors.Is(err, errLacks) {
		t.Errorf("without a seat: %v", err)
	}
}

// Who was put out knows the secret of no epoch under which the others are still
// listed.
func TestRdvEpochs(t *testing.T) {
	a, b, c := testNode(t, "Ann"), testNode(t, "Bo"), testNode(t, "Cai")
	g := newGroup(t, a, api.GroupCreate{})
	join(t, b, invite(t, a, g, 1, ""))
	join(t, c, invite(t, a, g, 1, ""))
	same(t, g, a, b, c)
	inRoom(t, a, g, func(r *room) { ok(t, r.commit(r.rekey)) })
	same(t, g, a, b, c)
	epochs := func(n *Node) (out [][32]byte) {
		inRoom(t, n, g, func(r *room) { out = r.rdvEpochs() })
		return out
	}
	if len(epochs(a)) < 2 {
		t.Fatalf("listed under %d epochs, though nobody left", len(epochs(a)))
	}
	known := epochs(c)
	must[api.Member](t)(a.RemoveMember(t.Context(), g, c.dev.account(), ""))
	same(t, g, a, b)
	within(t, b, patience, "the epoch after the removal", func() bool {
		now := epochs(b)
		return len(now) > 0 && !slices.ContainsFunc(now, func(rdv [32]byte) bool { return slices.Contains(known, rdv) })
	})
}

// A device is listed under the keys of today and tomorrow: so after the day has
// changed only tomorrow's are new, and nothing is due in between.
func TestDueKeys(t *testing.T) {
	n := &Node{rdv: newRendezvous()}
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	places := []meeting{{epochs: [][32]byte{{1}, {2}}}, {codes: []lobbyRow{{Rdv: [32]byte{3}}}}}
	var next time.Time
	due := func(at time.Time) int {
		next = at.Add(100 * time.Hour)
		keys := n.dueKeys(places, at, func(t time.Time) {
			if t.Before(next) {
				next = t
			}
		})
		for _, k := range keys {
			n.rdv.listed[k] = at
		}
		return len(keys)
	}
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 6}, {time.Minute, 0}, {11*time.Hour + 50*time.Minute, 0}, {12*time.Hour + time.Minute, 3}, {19 * time.Hour, 0}, {20 * time.Hour, 3}, {36*time.Hour + time.Minute, 6}, {37 * time.Hour, 0}} {
		if got := due(noon.Add(step.after)); got != step.want {
			t.Errorf("after %v: %d are due, want %d", step.after, got, step.want)
		}
	}
	if len(n.rdv.listed) != 6 {
		t.Errorf("%d keys are remembered", len(n.rdv.listed))
	}
	places = nil
	if due(noon.Add(38*time.Hour)) != 0 || len(n.rdv.listed) != 0 {
		t.Error("keys of a group that was left are remembered")
	}
	lots := meeting{epochs: make([][32]byte, 10)}
	for i := range lots.epochs {
		lots.epochs[i][0] = byte(i)
	}
	places = slices.Repeat([]meeting{lots}, 200)
	if got := due(noon); got > maxListedKeys {
		t.Errorf("%d keys of one device", got)
	}
}

// With the directory off nothing runs for it.
func TestDirectoryOff(t *testing.T) {
	n := testNode(t, "Ann")
	ended := make(chan struct{})
	go func() { n.keepListed(); close(ended) }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-ended:
	case <-ctx.Done():
		t.Error("it runs")
	}
	if err := (&Config{Home: "x", DHT: "perhaps"}).Validate(); err == nil {
		t.Error("an unknown directory is accepted")
	}
}
