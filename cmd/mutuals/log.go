package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newLog(c *cli) *cobra.Command {
	var n int
	var before, at string
	var follow, folded bool
	cmd := &cobra.Command{
		Use:   "log GROUP [-n N] [--before CURSOR | --at WHEN] [--follow]",
		Short: "What was said, oldest first; one message a line with --json",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if n < 0 {
				return usage("give a number from 0", "-n is %d", n)
			}
			if at != "" && (before != "" || follow) {
				return usage("leave --before and --follow out", "--at shows one page")
			}
			g, err := c.group(ctx, args[0])
			if err != nil {
				return err
			}
			r := reader{c: c, group: g, folded: folded, bar: bar{c: c}}
			// Events are followed from before the page was read, so that
			// nothing falls between the two; what is in both is shown once.
			var from string
			if follow {
				snap, err := c.client.Snapshot(ctx)
				if err != nil {
					return err
				}
				from = snap.EventID
			}
			page, err := r.page(ctx, before, placeOf(at), n)
			if err != nil {
				return err
			}
			if !r.prunedTo.IsZero() && !c.json {
				c.note("%s", prunedWords(r.prunedTo, c.lang))
			}
			for _, m := range page {
				if err := r.show(ctx, m); err != nil {
					return err
				}
			}
			c.tellComplete(r.group)
			if !follow {
				return c.tellComing(ctx, r.group)
			}
			r.bar.live = isTerminal(c.err) && !c.json
			defer r.bar.clear()
			return r.follow(ctx, from, page)
		},
	}
	cmd.Flags().IntVarP(&n, "number", "n", api.DefaultPage, "how many of the newest")
	cmd.Flags().StringVar(&before, "before", "", "only those before this cursor or message id")
	cmd.Flags().StringVar(&at, "at", "", "those around a day (2026-11-29), a moment (RFC 3339) or a message id")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes, until Ctrl-C")
	cmd.Flags().BoolVar(&folded, "folded", false, "show the text of what is folded: said after a removal, by somebody let in invalidly")
	return cmd
}

// reader writes the messages of one group.
type reader struct {
	c        *cli
	group    api.Group
	names    map[string]string // by account; learnt from the member list
	day      string            // of the newest line written
	self     string            // own account
	prunedTo time.Time         // where the pages read begin, if they are all there is
	// folded: the text of what is folded is shown too.
	folded bool
	bar    bar // of what arrives meanwhile
}

// placeOf reads a day of this place's calendar, or a moment, as the daemon wants
// it; what is neither is an id or a cursor.
func placeOf(s string) string {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return at.UTC().Format(time.RFC3339)
		}
	}
	return s
}

// page returns the newest n messages before a cursor, oldest first; with at
// given, those around it.
func (r *reader) page(ctx context.Context, before, at string, n int) ([]api.Message, error) {
	if at != "" && n > 0 {
		p, err := r.c.client.Messages(ctx, r.group.ID, api.Page{Around: at, Limit: min(n, api.MaxPage)})
		r.prunedTo = p.PrunedTo
		return p.Items, err
	}
	var all []api.Message
	for n > 0 {
		p, err := r.c.client.Messages(ctx, r.group.ID, api.Page{Before: before, Limit: min(n, api.MaxPage)})
		if err != nil {
			return nil, err
		}
		all, r.prunedTo = slices.Concat(p.Items, all), p.PrunedTo
		n -= len(p.Items)
		if before = p.Before; before == "" || len(p.Items) == 0 {
			break
		}
	}
	return all, nil
}

// follow writes the messages that events tell of after one, but those known.
func (r *reader) follow(ctx context.Context, after string, known []api.Message) error {
	seen := map[string]int{} // by how many each was held
	for _, m := range known {
		seen[m.ID.String()] = m.HeldBy
	}
	for e, err := range r.c.client.Events(ctx, after) {
		if err != nil {
			return err
		}
		if e.Type == api.EventGroupUpdated || e.Type == api.EventGroupCreated {
			if err := r.learn(e); err != nil {
				return err
			}
		}
		if err := r.bar.event(e, r.group); err != nil {
			return err
		}
		if e.Type != api.EventMessageCreated && e.Type != api.EventMessageUpdated || !r.group.Holds(e.Group) {
			continue
		}
		var m api.Message
		if err := json.Unmarshal(e.Object, &m); err != nil {
			return fmt.Errorf("reading an event: %w", err)
		}
		was, shown := seen[m.ID.String()]
		if !shown && e.Type == api.EventMessageUpdated {
			continue // of before the page
		}
		seen[m.ID.String()] = m.HeldBy
		r.bar.clear()
		if !shown {
			err = r.show(ctx, m)
		} else if !r.c.json {
			err = r.reached(ctx, m, was)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// learn takes a group over as it is now: both of two people may have begun
// their conversation, which is one as soon as they know.
func (r *reader) learn(e api.Event) error {
	var g api.Group
	if err := json.Unmarshal(e.Object, &g); err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	if g.Holds(r.group.ID) || r.group.Holds(g.ID) {
		r.group = g
	}
	return nil
}

// show writes one message.
func (r *reader) show(ctx context.Context, m api.Message) error {
	c := r.c
	if c.json {
		return c.line(m)
	}
	switch m.Kind {
	case api.MessageProfile, api.MessageGroupInfo:
		return nil // a profile or a name that changed is no conversation
	}
	at := m.SentAt.Local()
	if day := at.Format("2 January 2006"); day != r.day {
		r.day = day
		c.say("%s", c.dim("---- "+day+" ----"))
	}
	name, err := r.name(ctx, m)
	if err != nil {
		return err
	}
	text := clean(m.Text)
	switch {
	case m.Folded != "" && (text == "" || !r.folded):
		text = c.dim("(" + foldedWords(m.Folded, c.lang) + ")")
	case m.Folded != "":
		text = c.dim("("+foldedWords(m.Folded, c.lang)+") ") + text
	case m.Kind == api.MessageNewer:
		text = c.dim("(needs a newer version of mutuals)")
	case m.Deleted:
		text = c.dim("(deleted)")
	case m.Kind == api.MessageModeration:
		c.say("%s  %s", c.dim(at.Format("15:04")), c.dim("* "+moderationWords(name, m)))
		return nil
	}
	mark := ""
	if m.Late {
		mark += " (late)"
	}
	if m.Provisional {
		mark += " (seat not confirmed yet)"
	}
	mark = c.dim(mark)
	where := ""
	if own, err := r.own(ctx, m); err != nil {
		return err
	} else if own && m.HeldOf > 0 {
		where = "   " + c.dim("("+heldWords(m, c.lang)+")")
	}
	// Further lines of a message are set under its first, so that nobody can
	// write what looks like somebody else's line.
	indent := "\n" + strings.Repeat(" ", len("15:04  "))
	c.say("%s  %s%s: %s%s", c.dim(at.Format("15:04")), c.bold(name), mark, strings.ReplaceAll(text, "\n", indent), where)
	return nil
}

// own tells whether a message is of this account.
func (r *reader) own(ctx context.Context, m api.Message) (bool, error) {
	if r.self == "" {
		st, err := r.c.client.Status(ctx)
		if err != nil {
			return false, err
		}
		r.self = st.Account.String()
	}
	return m.Author.String() == r.self, nil
}

// reached writes that an own message has come to somebody, once, and that all
// have it.
func (r *reader) reached(ctx context.Context, m api.Message, was int) error {
	own, err := r.own(ctx, m)
	if err != nil || !own || m.Kind != api.MessageText || m.HeldBy <= was || was > 0 && m.HeldBy < m.HeldOf {
		return err
	}
	c, text := r.c, []rune(oneLine(m.Text))
	if len(text) > reachedText {
		text = append(text[:reachedText], '…')
	}
	c.say("%s", c.dim(fmt.Sprintf("       * %s: %s", string(text), heldWords(m, c.lang))))
	return nil
}

// reachedText is how much of a message names it: what is a line with the rest.
const reachedText = 24

// name returns what to call a message's author; the member list is asked again
// when somebody new speaks.
func (r *reader) name(ctx context.Context, m api.Message) (string, error) {
	account := m.Author.String()
	if _, known := r.names[account]; !known {
		members, err := r.c.client.Members(ctx, r.group.ID)
		if err != nil {
			return "", err
		}
		if r.names == nil {
			r.names = map[string]string{}
		}
		for _, member := range members {
			r.names[member.Account.String()] = oneLine(member.Name)
		}
		if r.names[account] == "" {
			r.names[account] = short(m.Author)
		}
	}
	return r.names[account], nil
}
