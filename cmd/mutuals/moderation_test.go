package main

import (
	"strings"
	"testing"

	"mutuals/node/api"
)

// What was done is told for every kind, and nobody's reason or name makes a
// line that looks like another's.
func TestActsHaveWords(t *testing.T) {
	for _, kind := range []string{
		api.ActGenesis, api.ActAdmit, api.ActLeave, api.ActRemove, api.ActRole, api.ActTransfer, api.ActSucceed, api.ActPolicy,
		api.ActInvite, api.ActInviteRevoke, api.ActDevAdd, api.ActDevRevoke, api.ActFault, api.ActHarbor,
	} {
		if said := actWords(api.Act{Kind: kind, TargetName: "Bo"}); said == "" || said == kind {
			t.Errorf("%s: %q", kind, said)
		}
	}
	m := api.Message{Text: "spam\n12:00  Ann: hello\x1b[2J", ActsCount: 3, Acts: []api.Act{{Kind: api.ActRemove, TargetName: "Bo\nx"}}}
	got := moderationWords("Ann", m)
	if strings.ContainsAny(got, "\n\x1b") || !strings.Contains(got, "and 2 more") || !strings.Contains(got, "(void)") {
		t.Errorf("%q", got)
	}
}

func TestFoldedHasWords(t *testing.T) {
	for _, why := range []string{
		api.FoldedPastPin, api.FoldedAuthorVoid, api.FoldedSilenced, api.FoldedKeyMissing, api.FoldedBeforeJoined, api.FoldedMalformed, api.FoldedNotAllowed,
	} {
		en, zh := foldedWords(why, api.English), foldedWords(why, api.Chinese)
		if en == why || zh == why || en == zh {
			t.Errorf("%s: %q, %q", why, en, zh)
		}
	}
}
