package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newStatus(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "How this node stands",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			st, err := client.Status(cmd.Context())
			if err != nil {
				return err
			}
			var coming []string
			if !c.json && st.Identity == api.IdentityReady {
				if coming, err = c.coming(cmd.Context(), client, nil); err != nil {
					return err
				}
			}
			return show(c, st, func(st api.Status) {
				device := ""
				if st.Identity == api.IdentityReady {
					device = st.Device.String()
					if st.Revoked {
						device += ", revoked: see mutuals doctor"
					}
				}
				safe := ""
				if st.Identity == api.IdentityReady {
					safe = safeWords(st.SafeToClose, st.OnlyHere, c.lang)
				}
				c.facts("ready", yesNo(st.Ready), "version", st.Version, "account", told(st), "device", device,
					"peers", strconv.Itoa(st.Peers), "from outside", outsideLine(st, c.lang), "safe to close", safe, "clock", clockWords(st.Clock, c.lang), "disk", diskWords(st.Disk, c.lang), "page", st.UI)
				for _, what := range coming {
					c.facts("arriving", what)
				}
				for _, a := range st.Addrs {
					c.facts("address", a)
				}
				if st.Identity == api.IdentityNone {
					c.note("Next: mutuals init --name YOU")
				}
			})
		},
	}
}

// clockWords tells of a clock that is not right; of one that is, nothing.
func clockWords(k api.Clock, l api.Lang) string {
	d := (time.Duration(k.AheadMs) * time.Millisecond).Round(time.Second)
	side := [2]string{"ahead of", "快"}
	if d < 0 {
		side = [2]string{"behind", "慢"}
	}
	zh := l == api.Chinese
	switch {
	case k.State == api.ClockIsWrong && zh:
		return fmt.Sprintf("不准：比其他人%s %v，校准之前不会写入任何内容", side[1], d.Abs())
	case k.State == api.ClockIsWrong:
		return fmt.Sprintf("wrong: %v %s others', nothing is written until it is set", d.Abs(), side[0])
	case k.State == api.ClockDoubtful && zh:
		return "可能不准：见 mutuals doctor"
	case k.State == api.ClockDoubtful:
		return "perhaps wrong: see mutuals doctor"
	}
	return ""
}

// diskWords tells of a disk that is not well; of one that is, nothing.
func diskWords(d api.Disk, l api.Lang) string {
	free := d.FreeBytes >> 20
	zh := l == api.Chinese
	if d.BadBlocks > 0 {
		if zh {
			return fmt.Sprintf("存储已损坏：%d 个块读不出来；mutuals doctor 有更多说明", d.BadBlocks)
		}
		return fmt.Sprintf("the store is damaged: %d blocks cannot be read; mutuals doctor says more", d.BadBlocks)
	}
	switch d.State {
	case api.DiskIsFull:
		if zh {
			return fmt.Sprintf("已满：只剩 %d MiB，腾出空间之前不会写入任何内容", free)
		}
		return fmt.Sprintf("full: %d MiB free, nothing is written until there is room", free)
	case api.DiskIsReadOnly:
		if zh {
			return "只读：不会写入任何内容"
		}
		return "read-only: nothing is written"
	case api.DiskIsLow:
		if zh {
			return fmt.Sprintf("快满了：只剩 %d MiB，腾出空间之前不补收长时间离线期间的消息", free)
		}
		return fmt.Sprintf("nearly full: %d MiB free, long absences are not caught up with", free)
	case api.DiskIsSlow:
		took := (time.Duration(d.TookMs) * time.Millisecond).Round(100 * time.Millisecond)
		if zh {
			return fmt.Sprintf("很慢：一次写入用了 %v", took)
		}
		return fmt.Sprintf("slow: a write took %v", took)
	}
	return ""
}
