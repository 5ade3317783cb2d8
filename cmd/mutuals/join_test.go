package main

import (
	"strings"
	"testing"

	"mutuals/node/api"
)

// A way that failed is told in one line of bounded length, whatever a stranger's
// answer holds; one that led somewhere is not told.
func TestAttemptWords(t *testing.T) {
	if got := attemptWords(api.Attempt{Way: "/ip4/192.0.2.1/tcp/1"}, api.English); got != "" {
		t.Errorf("a way that worked: %q", got)
	}
	failed := api.Attempt{Way: "mdns", Error: "not\nfound" + strings.Repeat("界", 2*maxWhy)}
	for l, begin := range map[api.Lang]string{api.English: "  tried mdns: not ⏎ found", api.Chinese: "  试过 mdns，没有成功：not ⏎ found"} {
		got := attemptWords(failed, l)
		if !strings.HasPrefix(got, begin) || strings.Contains(got, "\n") || len([]rune(got)) > maxWhy+40 {
			t.Errorf("%s: %q", l, got)
		}
	}
}
