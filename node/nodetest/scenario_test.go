package nodetest_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mutuals/groups/groupstest"
	"mutuals/node/nodetest"
)

var scenario = flag.String("scenario", "", "play this scenario on nodes, whatever it says about itself")

// brief are the scenarios that nodes play in a short run: one of each kind of
// trouble. -soak plays all.
var brief = []string{
	"cap_lowered.txt", "demoted_admin.txt", "readded_by_another.txt", "silenced.txt", "two_admins.txt", "uses.txt", "waitlist.txt",
}

// The stories that groups are told (groups/testdata/scenarios) come out the
// same for whole nodes, in a network that is cut where the story says so.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("../../groups/testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	pure := map[string]int{}
	for _, f := range files {
		name := filepath.Base(f)
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sc, err := groupstest.Parse(name, string(text))
		if err != nil {
			t.Fatal(err)
		}
		if *scenario != "" && name != *scenario {
			continue
		}
		if why := nodetest.Unplayable(sc); why != "" && *scenario == "" {
			pure[why]++
			continue
		}
		if !*soak && *scenario == "" && !slices.Contains(brief, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			nodetest.Play(t, options(t, max(*seed, 1)), func(c *nodetest.Cluster) {
				p, err := c.Perform(sc)
				if err != nil {
					t.Error(err)
				}
				c.Logf("%d expectations compared, %d about what no API shows; unaware of being out: %v", p.Looked, p.Blind, p.Unaware)
			})
		})
	}
	for why, n := range pure {
		t.Logf("%d not played: %s", n, why)
	}
}
