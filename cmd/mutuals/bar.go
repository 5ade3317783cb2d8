package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"mutuals/node/api"
)

// barWidth is how wide a bar of progress is, in characters.
const barWidth = 20

// comingWords is one line of what arrives, with a bar.
func comingWords(group string, p api.Progress, l api.Lang) string {
	full := min(barWidth*p.Done/max(p.Total, 1), barWidth)
	bar := "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
	if l == api.Chinese {
		return fmt.Sprintf("%s %s %d/%d 条消息", group, bar, p.Done, p.Total)
	}
	return fmt.Sprintf("%s %s %d of %d messages", group, bar, p.Done, p.Total)
}

// comes tells whether a task fetches messages and how far that is known.
func comes(t api.Task) bool {
	return t.Kind == api.TaskSync && !t.Over() && t.Result != nil && t.Progress.Total > 0
}

// coming tells what is being fetched into which group, and how far that is: of
// all groups, or of the one given.
func (c *cli) coming(ctx context.Context, client *api.Client, only *api.Group) (out []string, err error) {
	tasks, err := client.Tasks(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range tasks {
		if !comes(t) || only != nil && !only.Holds(t.Result.Group) {
			continue
		}
		g, err := client.Group(ctx, t.Result.Group)
		if err != nil {
			return nil, err
		}
		out = append(out, comingWords(oneLine(g.Name), t.Progress, c.lang))
	}
	return out, nil
}

// tellComing says below a timeline what is on its way to it.
func (c *cli) tellComing(ctx context.Context, g api.Group) error {
	if c.json {
		return nil
	}
	lines, err := c.coming(ctx, c.client, &g)
	for _, line := range lines {
		c.note("%s", line)
	}
	return err
}

// bar is a line on a terminal that is written over as something goes on; it is
// taken away before anything else is written.
type bar struct {
	c     *cli
	live  bool // there is a terminal, and nobody types on it
	shown bool
}

// clearLine takes the cursor to the start of its line and empties that (ECMA-48
// EL).
const clearLine = "\r\x1b[K"

// event shows how far a task is that fetches messages of a group.
func (b *bar) event(e api.Event, g api.Group) error {
	if !b.live || e.Type != api.EventTaskProgress {
		return nil
	}
	var t api.Task
	if err := json.Unmarshal(e.Object, &t); err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	switch {
	case t.Kind != api.TaskSync || t.Result == nil || !g.Holds(t.Result.Group):
	case comes(t):
		fmt.Fprint(b.c.err, clearLine, comingWords(oneLine(g.Name), t.Progress, b.c.lang))
		b.shown = true
	default:
		b.clear()
	}
	return nil
}

func (b *bar) clear() {
	if b.shown {
		fmt.Fprint(b.c.err, clearLine)
		b.shown = false
	}
}
