package main

import (
	"testing"
	"time"

	"mutuals/node/api"
)

// What is missing is told in words, in both languages, with names that cannot
// break the line.
func TestCompleteWords(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 0, 0, time.Local)
	gap := func(kind, name string, n int) api.Gap { return api.Gap{Kind: kind, Name: name, Missing: n} }
	messages := gap(api.GapMessages, "Ann", 3)
	messages.HeldBy = append(messages.HeldBy, messages.Author, messages.Author)
	for _, c := range []struct {
		group  api.Group
		en, zh string
	}{
		{api.Group{Synced: true}, "yes", "是"},
		{api.Group{Gaps: []api.Gap{messages}, CompleteTo: at},
			"up to " + moment(at) + "; 3 messages of Ann have not arrived (held by 2)",
			"到 " + moment(at) + " 为止完整; Ann 的 3 条消息还没收到（2 人有）"},
		{api.Group{Gaps: []api.Gap{messages}, CompleteTo: at, CompleteFrom: at},
			"all since " + moment(at) + "; what is older is on its way; 3 messages of Ann have not arrived (held by 2)",
			"自 " + moment(at) + " 起完整，更早的正在到来; Ann 的 3 条消息还没收到（2 人有）"},
		{api.Group{Gaps: []api.Gap{gap(api.GapChanges, "B\no", 2), gap(api.GapKeys, "Cy", 4)}},
			"no; 2 changes by B ⏎ o have not arrived; 4 messages of Cy wait for a key",
			"否; B ⏎ o 的 2 项改动还没收到; Cy 的 4 条消息还缺密钥"},
		{api.Group{Gaps: []api.Gap{gap(api.GapMessages, "", 1)}},
			"no; 1 message of somebody not known yet has not arrived",
			"否; 尚未知道的人 的 1 条消息还没收到"},
		{api.Group{Gaps: []api.Gap{gap("rumours", "Ann", 1), messages, messages, messages, messages, messages}},
			"no; rumours; 3 messages of Ann have not arrived (held by 2); 3 messages of Ann have not arrived (held by 2); 3 messages of Ann have not arrived (held by 2); +2",
			"否; rumours; Ann 的 3 条消息还没收到（2 人有）; Ann 的 3 条消息还没收到（2 人有）; Ann 的 3 条消息还没收到（2 人有）; +2"},
	} {
		if got := completeWords(c.group, api.English); got != c.en {
			t.Errorf("%q, want %q", got, c.en)
		}
		if got := completeWords(c.group, api.Chinese); got != c.zh {
			t.Errorf("%q, want %q", got, c.zh)
		}
	}
}
