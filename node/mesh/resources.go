package mesh

import (
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
)

// resources is what libp2p may use at most, of a desktop that its owner works
// at, and how much of that one peer or address may.
func (m *Mesh) resources() (network.ResourceManager, error) {
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	links := rcmgr.LimitVal(maxLinks + m.passerLinks())
	fixed := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns: links + maxHandshakes, ConnsInbound: links + maxHandshakes, ConnsOutbound: links,
			Streams: maxRawStreams, StreamsInbound: maxRawStreams, StreamsOutbound: maxRawStreams, Memory: memory, FD: files,
		},
		// What has not proved a key or named a protocol yet.
		Transient: rcmgr.ResourceLimits{
			Conns: maxHandshakes, ConnsInbound: maxHandshakes, ConnsOutbound: maxHandshakes,
			Streams: maxRawStreams, StreamsInbound: maxRawStreams, StreamsOutbound: maxRawStreams, Memory: memory / 2, FD: maxHandshakes,
		},
		ProtocolDefault: rcmgr.ResourceLimits{Streams: maxRawStreams, StreamsInbound: maxRawStreams, StreamsOutbound: maxRawStreams},
	}
	// libp2p's 8 links and one new link in 5 s for each address would lock
	// out a family behind one NAT.
	perAddr := []rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: connsPerAddr}}
	perAddr6 := []rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: connsPerAddr}}
	pace := rate.Limit{RPS: connsPace, Burst: connsPerAddr}
	return rcmgr.NewResourceManager(limiter{rcmgr.NewFixedLimiter(fixed.Build(limits.Scale(memory, files))), m},
		rcmgr.WithLimitPerSubnet(perAddr, perAddr6), rcmgr.WithMetricsDisabled(),
		rcmgr.WithConnRateLimiters(&rate.Limiter{
			NetworkPrefixLimits: []rate.PrefixLimit{
				{Prefix: netip.MustParsePrefix("127.0.0.0/8")}, {Prefix: netip.MustParsePrefix("::1/128")},
			},
			GlobalLimit: rate.Limit{RPS: connsPaceAll, Burst: maxHandshakes},
			SubnetRateLimiter: rate.SubnetLimiter{
				IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: pace}},
				IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: pace}},
				GracePeriod:      time.Minute,
			},
		}))
}

// limiter gives strangers fewer streams than members. A stream counts from its
// first byte, before it names a protocol: libp2p lets one peer hold 256, and all
// peers together 128 of those that have named none.
type limiter struct {
	rcmgr.Limiter
	m *Mesh
}

// GetPeerLimits implements [rcmgr.Limiter]; it is asked when a peer appears. As
// long as no topic has been joined nobody can be told from a member.
func (l limiter) GetPeerLimits(id peer.ID) rcmgr.Limit {
	most := rcmgr.LimitVal(maxStrangerRaw)
	if l.m.gossip == nil || len(*l.m.gossip.topics.Load()) == 0 || l.m.member(id) {
		most = maxMemberRaw
	}
	b := (&rcmgr.ResourceLimits{StreamsInbound: most, Streams: 2 * most}).Build(l.Limiter.GetPeerLimits(id))
	return &b
}
