package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newGroupRetain(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "retain GROUP [DAYS|forever]",
		Short: "For how long this device keeps a group's messages",
		Long: `Tell or set for how many days this device keeps a group's messages. What is
older is dropped from this disk within the hour, also for a longer time set
later; other members keep theirs. Names stay, and what no other device has yet.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.group(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if len(args) == 2 {
				days, err := retainedDays(args[1])
				if err != nil {
					return err
				}
				if g, err = c.client.Retain(cmd.Context(), g.ID, days); err != nil {
					return err
				}
			}
			return show(c, g, func(g api.Group) { c.say("%s", retainWords(g, c.lang)) })
		},
	}
}

// maxRetainDays is what the daemon takes at most: ten years.
const maxRetainDays = 3650

func retainedDays(s string) (int, error) {
	if s == "forever" {
		return 0, nil
	}
	days, err := strconv.Atoi(s)
	if err != nil || days < 1 || days > maxRetainDays {
		return 0, usage(fmt.Sprintf("give a number of days from 1 to %d, or forever", maxRetainDays), "%q is no time to keep messages", s)
	}
	return days, nil
}

// retainWords tells how long messages are kept here, and what is gone.
func retainWords(g api.Group, l api.Lang) string {
	zh, said := l == api.Chinese, ""
	switch {
	case g.RetainDays == 0 && zh:
		said = "本设备一直保留消息"
	case g.RetainDays == 0:
		said = "this device keeps messages for ever"
	case zh:
		said = fmt.Sprintf("本设备保留消息 %d 天", g.RetainDays)
	default:
		said = fmt.Sprintf("this device keeps messages for %d days", g.RetainDays)
	}
	if g.PrunedTo.IsZero() {
		return said
	}
	return said + map[bool]string{true: "；", false: "; "}[zh] + prunedWords(g.PrunedTo, l)
}

// prunedWords stands where a timeline begins of which older parts are gone.
func prunedWords(to time.Time, l api.Lang) string {
	if l == api.Chinese {
		return fmt.Sprintf("更早的消息已在此清理（最近的一条写于 %s）", moment(to))
	}
	return fmt.Sprintf("older messages were pruned here, the newest of them of %s", moment(to))
}
