package main

import (
	"testing"

	"mutuals/node/api"
)

// A code that reaches nobody, or few, is warned of in both languages; one that
// reaches far is not, and neither is one of a daemon that does not tell.
func TestReachWords(t *testing.T) {
	seen := map[string]bool{"": true}
	for _, reach := range []string{api.ReachNone, api.ReachMachine, api.ReachNetwork} {
		for _, l := range []api.Lang{api.English, api.Chinese} {
			words := reachWords(reach, l)
			if seen[words] {
				t.Errorf("%s in %s: %q", reach, l, words)
			}
			seen[words] = true
		}
	}
	for _, reach := range []string{"", api.ReachPublic} {
		if words := reachWords(reach, api.English); words != "" {
			t.Errorf("%q: %q", reach, words)
		}
	}
}
