package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newNetwork(c *cli) *cobra.Command {
	probe := false
	cmd := &cobra.Command{
		Use:   "network",
		Short: "How this node is reached, whom it reaches and how, and what failed",
		Long: `How this node is reached from outside (others try it), what its router does, which
relays have a place for it, and of each group who is linked by what way, who is
being dialled and why that failed last. What you can do about it stands below.
With --probe everybody who is not linked is dialled at once, and you see how that went.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			ask := client.Network
			if probe {
				c.note("%s", c.inWords("trying everybody; this takes up to 10 seconds…", "正在逐一尝试，最多 10 秒……"))
				ask = client.Probe
			}
			now, err := ask(cmd.Context())
			if err != nil {
				return err
			}
			return show(c, now, c.tellNetwork)
		},
	}
	cmd.Flags().BoolVar(&probe, "probe", false, "dial everybody who is not linked now, and wait for it")
	return cmd
}

func (c *cli) tellNetwork(now api.Network) {
	c.facts("from outside", outsideWords(now.Reachability, c.lang), "NAT", now.NAT, "relay", now.Relay,
		"relays for others", now.RelayService, "port mapping", strings.TrimSpace(strings.ReplaceAll(now.PortMapping.State, "_", " ")+" "+strings.Join(now.PortMapping.Addrs, " ")),
		"local network", map[bool]string{true: api.On, false: api.Off}[now.MDNS], "DHT", now.DHT,
		"lobby", lobbyWords(now.Lobby, c.lang))
	for _, a := range now.Addrs {
		c.facts("address", a)
	}
	for _, r := range now.Relays {
		how := r.Problem
		if r.Until != nil {
			how = "a place until " + r.Until.Local().Format(time.TimeOnly)
		}
		c.facts("relay "+peerName(r.Name, r.Peer), how)
	}
	for _, g := range now.Groups {
		c.say("")
		c.say("%s", c.bold(oneLine(g.Name)))
		rows := make([][]string, len(g.Peers))
		for i, p := range g.Peers {
			name := peerName(p.Name, p.Peer)
			if p.Harbor {
				name += " (harbor)"
			}
			rows[i] = []string{name, pathWords(p), p.Problem}
		}
		c.table("  nobody else is in it", []string{"WHO", "HOW", "WHAT FAILED"}, rows)
	}
	for _, a := range now.Advice {
		c.note("%s", api.AdviceText(a.Code, c.lang))
	}
}

// peerName is a name, else a short id.
func peerName(name, peer string) string {
	if name != "" {
		return oneLine(name)
	}
	return peer[max(0, len(peer)-8):]
}

// pathWords tells by what way a device of a group is linked, or when it is
// dialled.
func pathWords(p api.GroupPeer) string {
	if p.Linked {
		out := p.Path + " " + p.Transport
		if p.Limited {
			out += ", limited"
		}
		return out
	}
	if p.Next == nil || !p.Next.After(time.Now()) {
		return "dialling"
	}
	return fmt.Sprintf("dialled again in %v", time.Until(*p.Next).Round(time.Second))
}

// lobbyWords tells how a node stands in the lobby.
func lobbyWords(l api.Lobby, lang api.Lang) string {
	zh := lang == api.Chinese
	switch {
	case !l.On && zh:
		return "已关闭"
	case !l.On:
		return api.Off
	case l.Carrying && zh:
		return fmt.Sprintf("为自己的 %d 个口令应答，替别人转发 %d 个话题", l.Topics, l.Carried)
	case l.Carrying:
		return fmt.Sprintf("answers for %d codes, carries %d topics of others", l.Topics, l.Carried)
	case zh:
		return fmt.Sprintf("为 %d 个口令应答，已连上 %d 个转发节点", l.Topics, l.Carriers)
	}
	return fmt.Sprintf("answers for %d codes, linked to %d that carry", l.Topics, l.Carriers)
}

// outsideWords tells how a node is reached from outside.
func outsideWords(r string, l api.Lang) string {
	zh := map[string]string{api.Public: "可以直接连入", api.Private: "不能直接连入", api.Unguessed: "还没有人试过"}
	en := map[string]string{api.Public: "reachable", api.Private: "not reachable", api.Unguessed: "nobody has tried yet"}
	if l == api.Chinese {
		return zh[r]
	}
	return en[r]
}

// outsideLine is the same in status: with the relays, if others do not get in.
func outsideLine(st api.Status, l api.Lang) string {
	out := outsideWords(st.Reachability, l)
	switch {
	case st.Relays > 0 && l == api.Chinese:
		out += "；经 " + strconv.Itoa(st.Relays) + " 个中继可达"
	case st.Relays > 0:
		out += ", through " + strconv.Itoa(st.Relays) + " relays"
	}
	return out
}
