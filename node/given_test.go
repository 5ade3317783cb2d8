package node

import (
	"bytes"
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// A hello brings the addresses of others once a link: again only when there are
// newer ones, when their device has just entered the group, and on a new link.
func TestAddressesGivenOnce(t *testing.T) {
	ann, bo := testNode(t, "Ann"), testNode(t, "Bo")
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	same(t, g, ann, bo)
	r := ann.room(g)
	to := bo.mesh.Self()
	// More members than one hello has room for, of whom Ann knows the addresses.
	count := groups.MaxHelloRecords + 5
	crowdOf(t, ann, g, count)
	var others []wire.PeerKey
	for p := range r.view.Load().peers {
		if p != to && p != ann.mesh.Self() {
			others = append(others, p)
			ann.keepRecord(p, p[:], nil, 1)
		}
	}
	has := func(out [][]byte, p wire.PeerKey) bool {
		return slices.ContainsFunc(out, func(b []byte) bool { return bytes.Equal(b, p[:]) })
	}
	pages := func(step string) (all [][]byte) {
		t.Helper()
		for range 3 {
			out, given := r.records(to)
			if len(out) == 0 || !bytes.Equal(out[0], ann.mesh.Record()) {
				t.Errorf("%s: the own record is not the first", step)
			}
			if len(out) > groups.MaxHelloRecords {
				t.Errorf("%s: %d records in a hello", step, len(out))
			}
			all = append(all, out[1:]...)
			given()
		}
		return all
	}
	all := pages("at first")
	for _, p := range others {
		if !has(all, p) {
			t.Error("a member's addresses were not given")
		}
	}
	if len(all) != len(others) {
		t.Errorf("%d records given for %d members", len(all), len(others))
	}
	if again := pages("again"); len(again) > 0 {
		t.Errorf("%d records given again", len(again))
	}
	ann.keepRecord(others[0], []byte("newer"), nil, 2)
	ann.giveAnew(others[1:2])
	if out := pages("news"); len(out) != 2 || string(out[0]) != "newer" || !has(out, others[1]) {
		t.Errorf("%d records given of two that are new", len(out))
	}
	out, _ := r.records(to)
	if len(out) != 1 {
		t.Errorf("%d records besides the own", len(out)-1)
	}
	ann.forgetGiven(to)
	if out, _ := r.records(to); len(out) != groups.MaxHelloRecords {
		t.Errorf("%d records on a new link", len(out))
	}
	// What was written to nobody is given again.
	if all := pages("a new link"); len(all) != len(others) {
		t.Errorf("%d records on a new link, of %d", len(all), len(others))
	}
}
