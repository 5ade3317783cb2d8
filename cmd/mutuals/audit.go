package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newGroupAudit(c *cli) *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "audit GROUP [--at TIME]",
		Short: "Who was in at a time, by what right, and all that was done until then",
		Long: `Who was in at a time, by what right, and all that was done until then.

With --at, what was written up to that time, by its authors' clocks, is looked
at by itself: who was in by that, whatever was written since. What was written
by then and arrives later still changes the answer.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			when, err := parseTime(at)
			if err != nil {
				return err
			}
			g, err := c.group(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			a, err := c.client.Audit(cmd.Context(), g.ID, when)
			if err != nil {
				return err
			}
			return show(c, a, c.tellAudit)
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "a time as 2026-11-23T10:00:00Z, or here as '2026-11-23 10:00' or 2026-11-23")
	return cmd
}

// parseTime reads a time as a person or a script writes it; "" is the zero
// time. A day alone is its end.
func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, form := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return t, nil
		}
	}
	if t, err := time.ParseInLocation("2006-01-02", s, time.Local); err == nil {
		return t.AddDate(0, 0, 1).Add(-time.Millisecond), nil
	}
	return time.Time{}, usage("write it as 2026-11-23T10:00:00Z, '2026-11-23 10:00' or 2026-11-23", "%q is no time", s)
}

func (c *cli) tellAudit(a api.Audit) {
	c.say("%s", c.bold("Members at "+moment(a.At)))
	rows := make([][]string, len(a.Members))
	names := map[string]string{}
	for _, m := range a.Members {
		names[m.Account.String()] = m.Name
	}
	for i, m := range a.Members {
		right := map[string]string{
			api.WayFounded:  "founded it",
			api.WayPulledIn: "pulled in by " + names[m.Inviter.String()],
			api.WayInvited:  "invited by " + names[m.Inviter.String()],
		}[m.Way]
		if m.Way == api.WayInvited && m.Sponsor != m.Inviter {
			by := "a harbor"
			if !m.Sponsor.IsZero() {
				by = names[m.Sponsor.String()]
			}
			right += ", let in by " + by
		}
		what := m.Role
		if m.Status != api.MemberSeated {
			what = m.Status
		}
		if m.Provisional {
			what += ", not confirmed yet"
		}
		rows[i] = []string{m.Name, what, moment(m.JoinedAt), right, short(m.Account)}
	}
	c.table("nobody", []string{"NAME", "ROLE", "SINCE", "RIGHT", "ACCOUNT"}, rows)
	c.say("")
	c.say("%s", c.bold("What was done"))
	for _, act := range a.Acts {
		who := oneLine(act.ActorName)
		if act.Actor.IsZero() {
			who = "a harbor"
		}
		line := fmt.Sprintf("%s  %s %s", c.dim(moment(act.At)), c.bold(who), actWords(act))
		if act.Reason != "" {
			line += ": " + oneLine(act.Reason)
		}
		if act.Void != nil {
			line += c.dim(" (void: " + act.Void.Text + voidBy(act, a.Acts) + ")")
		} else if act.Provisional {
			line += c.dim(" (not confirmed yet)")
		}
		c.say("%s", line)
	}
}

// voidBy names the act that voids another, when it is in the list.
func voidBy(act api.Act, all []api.Act) string {
	for _, by := range all {
		if by.ID == act.Void.By {
			return "; by " + oneLine(by.ActorName) + ", who " + actWords(by) + " " + moment(by.At)
		}
	}
	return ""
}
