package node

import (
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/timeline"
	"mutuals/node/api"
)

// TestAHoleIsCarriedOver: somebody who has the newest of a chain and the
// beginning, and nothing between, makes a backup and an export. What comes of
// the backup has the same hole, and it closes; the export says that it lacks
// something, and verifies.
func TestAHoleIsCarriedOver(t *testing.T) {
	bo, home, g, people, chains := apart(t, 1, 600)
	inc, chain := people[0].Inc, chains[people[0].Inc]
	give(t, bo, g, chain, 289, len(chain), true)
	from, to := hole(t, bo, g, inc)
	if from < 2 || to != 288 {
		t.Fatalf("a hole %d…%d", from, to)
	}
	here := shown(t, bo, g, chain)
	file, made := exportOf(t, bo, g)
	if made.Incomplete != 1 {
		t.Errorf("the export tells of %d chains without their beginning: %+v", made.Incomplete, made)
	}
	task := must[api.Task](t)(bo.VerifyExport(t.Context(), api.ExportOpen{File: file}))
	if task = awaitTask(t, bo, task.ID, api.Task.Over); task.Stage != api.StageVerified || task.Result.Export.Messages != made.Messages {
		t.Errorf("verifying it: %+v %+v", task, task.Problem)
	}
	backup, words := backUpTo(t, bo, ""), wordsOf(t, bo)
	sound(t, home, bo)

	dir := t.TempDir()
	again := openNode(t, dir)
	if task := restoring(t, again, api.BackupRestore{File: backup, Words: words}); task.Stage != api.StageRestored {
		t.Fatalf("restore: %+v %+v", task, task.Problem)
	}
	if a, b := hole(t, again, g, inc); a != from || b != to {
		t.Fatalf("after the restore a hole %d…%d, not %d…%d", a, b, from, to)
	}
	if n := shown(t, again, g, chain); n != here {
		t.Errorf("%d shown after the restore, %d before", n, here)
	}
	give(t, again, g, chain, 65, 288, true)
	give(t, again, g, chain, int(from), 64, true)
	if a, _ := hole(t, again, g, inc); a != 0 || shown(t, again, g, chain) != len(chain) {
		t.Errorf("the hole stays from %d on, %d of %d shown", a, shown(t, again, g, chain), len(chain))
	}
	sound(t, dir, again)
}

// TestAHoleIsPruned: what is too old goes on both sides of a hole, and what
// fills it goes too.
func TestAHoleIsPruned(t *testing.T) {
	bo, home, g, people, chains := apart(t, 1, 600)
	inc, chain := people[0].Inc, chains[people[0].Inc]
	ok(t, bo.Close())
	c := &clock{}
	c.shift(40 * 24 * time.Hour)
	bo = startNode(t, home, "Bo", func(cfg *Config) { cfg.Now = c.now })
	give(t, bo, g, chain, 289, len(chain), true)
	from, to := hole(t, bo, g, inc)
	if from < 2 || to != 288 || shown(t, bo, g, chain) != len(chain)-int(to-from)-1 {
		t.Fatalf("a hole %d…%d, %d shown", from, to, shown(t, bo, g, chain))
	}
	kept := func() (texts, bodies int) {
		inRoom(t, bo, g, func(r *room) {
			for _, op := range chain {
				if e, is := r.entryBy([16]byte(op.ID[:16])); is && e.Folded == timeline.Shown {
					texts++
				}
			}
			ops, err := r.heldFrom(chainOf{inc, groups.Content}, 1, uint64(len(chain)))
			ok(t, err)
			for _, op := range ops {
				if op.Whole() {
					bodies++
				}
			}
		})
		return texts, bodies
	}
	pruned := func(what string) {
		t.Helper()
		within(t, bo, patience, what, func() bool {
			texts, bodies := kept()
			return texts == 0 && bodies == 0
		})
	}
	must[api.Group](t)(bo.Retain(t.Context(), g, 30))
	pruned("both sides of a hole to be dropped")
	give(t, bo, g, chain, 65, 288, true)
	give(t, bo, g, chain, int(from), 64, true)
	if a, _ := hole(t, bo, g, inc); a != 0 {
		t.Fatalf("the hole stays from %d on", a)
	}
	ok(t, bo.room(g).step(t.Context(), bo.room(g).prune))
	pruned("what filled the hole to be dropped")
	sound(t, home, bo)
}
