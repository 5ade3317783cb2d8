package node

import (
	"slices"
	"sync/atomic"
	"testing"

	"mutuals/node/api"
	"mutuals/store"
)

// A disk that takes no more writes under a running node: each refusal is a
// problem with a code, status and doctor say why, what is there can be read, and
// all goes on by itself once it takes writes again.
func TestDiskRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		free  uint64
		err   error
		code  api.Code
		state string
	}{
		{"full", store.MinSpaceBytes - 1, nil, api.DiskFull, api.DiskIsFull},
		{"read-only", 0, store.ErrReadOnly, api.DiskReadOnly, api.DiskIsReadOnly},
	} {
		t.Run(c.name, func(t *testing.T) {
			var bad atomic.Bool
			a := startNode(t, t.TempDir(), "Ann", func(cfg *Config) {
				cfg.FreeSpace = func(string) (uint64, error) {
					if bad.Load() {
						return c.free, c.err
					}
					return 1 << 40, nil
				}
			})
			b := testNode(t, "Bo")
			g := newGroup(t, a, api.GroupCreate{})
			join(t, b, invite(t, a, g, 1, ""))
			say(t, a, g, "before")
			hears(t, b, g, "before")

			bad.Store(true)
			_, err := a.Send(t.Context(), g, api.MessageCreate{Text: "lost"})
			if p := Problem(err); p == nil || p.Code != c.code {
				t.Errorf("sending: %v, want a problem %s", err, c.code)
			}
			_, err = a.CreateGroup(t.Context(), api.GroupCreate{Name: "none"})
			if p := Problem(err); p == nil || p.Code != c.code {
				t.Errorf("making a group: %v, want a problem %s", err, c.code)
			}
			if d := a.Status(t.Context()).Disk; d.State != c.state {
				t.Errorf("status tells of a disk that is %q, want %q", d.State, c.state)
			}
			if level := diskLevel(t, a); level != "error" {
				t.Errorf("doctor says %q", level)
			}
			say(t, b, g, "meanwhile")
			if got := texts(t, a, g); len(got) != 1 || got[0] != "before" {
				t.Errorf("to be read are %q", got)
			}

			bad.Store(false)
			say(t, a, g, "after")
			hears(t, b, g, "after")
			hears(t, a, g, "meanwhile")
			if level := diskLevel(t, a); level != "ok" {
				t.Errorf("doctor says %q of a disk that is well again", level)
			}
			same(t, g, a, b)
		})
	}
}

// On a nearly full disk the node learns who is in and takes what is said now,
// and leaves what was said before with those who have it, until there is room.
func TestLowDiskPausesSync(t *testing.T) {
	t.Parallel()
	var low atomic.Bool
	home := t.TempDir()
	config := func(cfg *Config) {
		cfg.FreeSpace = func(string) (uint64, error) {
			if low.Load() {
				return store.LowSpaceBytes - 1, nil
			}
			return 1 << 40, nil
		}
	}
	members := "members"
	a, b, c := startNode(t, home, "Ann", config), testNode(t, "Bo"), testNode(t, "Cy")
	g := newGroup(t, a, api.GroupCreate{Policy: &api.PolicyPatch{WhoInvites: &members}})
	join(t, b, invite(t, a, g, 1, ""))
	say(t, a, g, "before")
	hears(t, b, g, "before")
	same(t, g, a, b)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for range crowdedOps + 1 {
		say(t, b, g, "meanwhile")
	}
	join(t, c, invite(t, b, g, 1, ""))
	say(t, c, g, "I am new")
	hears(t, b, g, "I am new")
	same(t, g, b, c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}

	low.Store(true)
	a = startNode(t, home, "Ann", config)
	paused := func() (is bool) {
		inRoom(t, a, g, func(r *room) { is = r.crowded })
		return is
	}
	within(t, a, patience, "a pull that finds no room", paused)
	within(t, a, patience, "who came meanwhile", func() bool {
		return len(must[[]api.Member](t)(a.Members(t.Context(), g))) == 3
	})
	hears(t, a, g, "I am new")
	if got := texts(t, a, g); slices.Contains(got, "meanwhile") {
		t.Errorf("with a nearly full disk there are %q", got)
	}
	within(t, a, patience, "the gap to be told", func() bool { return !must[api.Group](t)(a.Group(t.Context(), g)).Synced })
	if level := diskLevel(t, a); level != "warning" {
		t.Errorf("doctor says %q of a nearly full disk", level)
	}
	say(t, a, g, "from here")
	hears(t, b, g, "from here")

	low.Store(false)
	hears(t, a, g, "meanwhile")
	same(t, g, a, b)
	if paused() {
		t.Error("still paused")
	}
}

func diskLevel(t *testing.T, n *Node) string {
	t.Helper()
	for _, f := range must[[]api.Finding](t)(n.Doctor(t.Context())) {
		if f.Check == "disk" {
			return f.Level
		}
	}
	return ""
}
