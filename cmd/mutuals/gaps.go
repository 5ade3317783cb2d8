package main

import (
	"fmt"
	"strings"

	"mutuals/node/api"
)

// completeWords tells whether all of a group is here, or who owes what.
func completeWords(g api.Group, l api.Lang) string {
	zh := l == api.Chinese
	if g.Synced {
		return map[bool]string{true: "是", false: "yes"}[zh]
	}
	var owed []string
	for _, gap := range g.Gaps[:min(len(g.Gaps), gapsTold)] {
		owed = append(owed, gapWords(gap, zh))
	}
	if more := len(g.Gaps) - gapsTold; more > 0 {
		owed = append(owed, fmt.Sprintf("+%d", more))
	}
	said := map[bool]string{true: "否", false: "no"}[zh]
	switch {
	case !g.CompleteFrom.IsZero() && zh:
		said = fmt.Sprintf("自 %s 起完整，更早的正在到来", moment(g.CompleteFrom))
	case !g.CompleteFrom.IsZero():
		said = fmt.Sprintf("all since %s; what is older is on its way", moment(g.CompleteFrom))
	case g.CompleteTo.IsZero():
	case zh:
		said = fmt.Sprintf("到 %s 为止完整", moment(g.CompleteTo))
	default:
		said = "up to " + moment(g.CompleteTo)
	}
	return said + "; " + strings.Join(owed, "; ")
}

// gapsTold is how many gaps are told one by one.
const gapsTold = 4

// gapWords tells one gap: who owes how much, and that somebody has it.
func gapWords(gap api.Gap, zh bool) string {
	who := oneLine(gap.Name)
	switch {
	case who != "":
	case !gap.Author.IsZero():
		who = short(gap.Author)
	case zh:
		who = "尚未知道的人"
	default:
		who = "somebody not known yet"
	}
	has := ""
	if n := len(gap.HeldBy); n > 0 && zh {
		has = fmt.Sprintf("（%d 人有）", n)
	} else if n > 0 {
		has = fmt.Sprintf(" (held by %d)", n)
	}
	words, known := map[string][3]string{
		api.GapMessages: {"%d messages of %s have not arrived", "%d message of %s has not arrived", "%[2]s 的 %[1]d 条消息还没收到"},
		api.GapChanges:  {"%d changes by %s have not arrived", "%d change by %s has not arrived", "%[2]s 的 %[1]d 项改动还没收到"},
		api.GapKeys:     {"%d messages of %s wait for a key", "%d message of %s waits for a key", "%[2]s 的 %[1]d 条消息还缺密钥"},
	}[gap.Kind]
	form := words[0]
	switch {
	case !known:
		return oneLine(gap.Kind) // of a newer node
	case zh:
		form = words[2]
	case gap.Missing == 1:
		form = words[1]
	}
	return fmt.Sprintf(form, gap.Missing, who) + has
}

// tellComplete says below a timeline whether all of it is here.
func (c *cli) tellComplete(g api.Group) {
	switch zh := c.lang == api.Chinese; {
	case c.json:
	case g.Synced && zh:
		c.note("到这里为止是完整的")
	case g.Synced:
		c.note("complete up to here")
	case zh:
		c.note("不完整：%s", completeWords(g, c.lang))
	default:
		c.note("not complete: %s", completeWords(g, c.lang))
	}
}
