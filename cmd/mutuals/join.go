package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newJoin(c *cli) *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use:   "join [TEXT…|-] [--yes] [--no-wait]",
		Short: "Join a group by the whole text somebody sent you",
		Long: `Join a group by the whole text somebody sent you, as it came: the passcode is
found in it. On a terminal the group is shown first and you are asked. You and
the inviter then follow each other, and members see your name and device.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			client, err := c.connect(ctx)
			if err != nil {
				return err
			}
			text, err := c.text(args, "Paste the whole message with the passcode", c.holdsCode(ctx))
			if err != nil {
				return err
			}
			if c.interactive() && !c.yes {
				if err := c.offer(ctx, text); err != nil {
					return err
				}
			}
			task, err := client.Join(ctx, text)
			var p *api.Problem
			if c.json && errors.As(err, &p) {
				// A text that cannot be used makes no task; a script finds its
				// answer where it finds all others.
				refused := api.Task{Kind: api.TaskJoin, State: api.TaskFailed, Stage: api.StageRefused, Problem: p.In(c.lang), At: time.Now().UTC()}
				return errors.Join(c.line(refused), err)
			}
			if err != nil {
				return err
			}
			if noWait {
				return show(c, task, func(t api.Task) { c.say("joining: mutuals api GET tasks/%s tells how it goes", t.ID) })
			}
			stage, tried := "", 0
			return c.watch(ctx, task, func(t api.Task) {
				for ; tried < len(t.Tried); tried++ {
					if failed := attemptWords(t.Tried[tried], c.lang); failed != "" {
						c.note("%s", failed)
					}
				}
				if now := stageWords(t); now != stage {
					stage = now
					c.note("%s", now)
				}
			})
		},
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until you are in")
	return cmd
}

// offer shows what the text offers and asks.
func (c *cli) offer(ctx context.Context, text string) error {
	in, err := c.client.Inspect(ctx, api.InspectRequest{Text: text, Preview: true})
	if err != nil {
		return err
	}
	// A preview that nobody gave is no reason not to ask to join.
	if in.Problem != nil && in.Kind == "" {
		return in.Problem
	}
	c.tellCard(in)
	if in.Kind == api.InspectCard {
		return usage("mutuals follow CARD", "this is a contact card, not a passcode")
	}
	yes, err := c.agree("Join? Members will see your name and device key, and the inviter becomes a mutual.")
	if err == nil && !yes {
		err = errors.New("not joined")
	}
	return err
}

// Pace of asking how a task goes: often at first, since a join on a good day
// takes a tenth of a second, then at a rate nobody notices.
const (
	paceFirst = 15 * time.Millisecond
	paceLast  = 250 * time.Millisecond
)

// watch follows a task to its end, or to where it waits for a person, and
// reports each change: as NDJSON on standard output with --json, else by tell.
// A task that failed is its problem.
func (c *cli) watch(ctx context.Context, t api.Task, tell func(api.Task)) error {
	pace := paceFirst
	shown := ""
	for {
		if c.json {
			for _, stage := range stagesBetween(t.Kind, shown, t.Stage) {
				if err := c.line(api.Task{ID: t.ID, Kind: t.Kind, State: api.TaskRunning, Stage: stage, At: t.At}); err != nil {
					return err
				}
			}
			shown = t.Stage
			if err := c.line(t); err != nil {
				return err
			}
		} else {
			tell(t)
		}
		switch {
		case t.State == api.TaskFailed && t.Problem != nil:
			return t.Problem
		case t.State == api.TaskFailed, t.State == api.TaskCancelled:
			return fmt.Errorf("it ended as %s", t.State)
		case t.State == api.TaskWaiting && t.Stage == api.StagePending, t.Over():
			return nil
		}
		last := t
		for t.State == last.State && t.Stage == last.Stage && t.Progress == last.Progress && len(t.Tried) == len(last.Tried) {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pace):
			}
			pace = min(pace*5/4, paceLast)
			var err error
			if t, err = c.client.Task(ctx, last.ID); err != nil {
				return err
			}
		}
	}
}

// maxWhy bounds what is shown of a failure: what libp2p tells of one dial can
// fill a page, and begins with what matters.
const maxWhy = 160

// attemptWords tells why a way into a group failed; it is empty for one that
// led somewhere.
func attemptWords(a api.Attempt, l api.Lang) string {
	if a.Error == "" {
		return ""
	}
	why := []rune(oneLine(a.Error))
	if len(why) > maxWhy {
		why = append(why[:maxWhy], '…')
	}
	if l == api.Chinese {
		return fmt.Sprintf("  试过 %s，没有成功：%s", oneLine(a.Way), string(why))
	}
	return fmt.Sprintf("  tried %s: %s", oneLine(a.Way), string(why))
}

// stagesBetween returns the stages of a join that passed between two looks at
// it; "" stands before the first.
func stagesBetween(kind, shown, now string) []string {
	if kind != api.TaskJoin {
		return nil
	}
	order := []string{api.StageReading, api.StageFinding, api.StageAsking}
	from, to := slices.Index(order, shown)+1, slices.Index(order, now)
	switch now {
	case api.StageJoined, api.StageWaitlisted, api.StagePending:
		to = len(order)
	}
	if shown != "" && from == 0 || from >= to {
		return nil
	}
	return order[from:to]
}

// stageWords tells a person where a task stands.
func stageWords(t api.Task) string {
	said := map[string]string{
		api.StageReading:    "reading the passcode…",
		api.StageFinding:    "finding members…",
		api.StageAsking:     "asking to be let in…",
		api.StageJoined:     "joined; mutuals log shows the history as it arrives",
		api.StageWaitlisted: "the group is full: you wait in line and enter by yourself",
		api.StagePending:    "an admin has to say yes; you are in when they do",
		api.StageRefused:    "refused",
		api.StageOffered:    "a seat is offered; waiting for the answer…",
		api.StageAccepted:   "accepted…",
		api.StageDeclined:   "declined",
		api.StageProposed:   "proposed; waiting for the other admins:",
		api.StageElected:    "the group has a new owner",
		api.StageRemoving:   "removing",
		api.StageOpen:       "waiting for the new device…",
		api.StageNumber:     "a device is here: type the number it shows (mutuals devices link --number)",
		api.StageComparing:  "Type this number on your other device:",
		api.StageCertifying: "the number is right…",
		api.StageLinked:     "linked",
		api.StageWriting:    "writing…",
		api.StageVerifying:  "reading and verifying…",
		api.StageRestoring:  "restoring…",
	}[t.Stage]
	switch {
	case said == "":
		said = t.Stage
	case t.Kind == api.TaskLink && t.Stage == api.StageFinding:
		said = "finding your other device…"
	case t.Stage == api.StageComparing && t.Result != nil:
		said += " " + numberWords(t.Result.Number)
	case t.Kind == api.TaskTransfer && t.Stage == api.StageOffered:
		said = "the group is offered; waiting for the answer…"
	case t.Kind == api.TaskTransfer && t.Stage == api.StageAccepted:
		said = "accepted: the group is theirs, you are an admin"
	}
	if t.Progress.Total > 0 && t.Stage != api.StageElected {
		said += fmt.Sprintf(" %d of %d %s", t.Progress.Done, t.Progress.Total, t.Progress.Unit)
	}
	return said
}
