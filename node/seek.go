package node

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

// Pace of looking on a code's topic (PROTOCOLS.md N21).
const (
	// topicTime is how long it is looked there, and topicMeet how long for somebody who
	// carries it: a dial, and then a heartbeat of gossip.
	topicTime, topicMeet = 8 * time.Second, 5 * time.Second
	// topicAgain is the wait before it is asked again, twice as long each time: what is
	// said before all are neighbours is lost.
	topicAgain = time.Second
	// maxTopicAsks bounds how often it is asked on one topic: whoever carries can be met as
	// often as it likes.
	maxTopicAsks = 8
	// maxShown bounds the previews that are told of one search.
	maxShown = 4
	// recordAge is how old the record may be of who answers.
	recordAge = 24 * time.Hour
)

// searchLobby asks on the topics of a code who lets people in by it. It says nothing
// of this device: whoever answers has the code, or was told of it by its maker, and
// is dialled.
func (n *Node) searchLobby(ctx context.Context, code invites.Passcode, found func(mesh.Found), shown func(invites.Preview)) error {
	if !n.cfg.Lobby {
		return errors.New("not asked: the lobby is switched off (mutualsd --lobby on)")
	}
	if n.mesh.Lobby().Carriers == 0 && len(n.dhtPeers())+len(n.reached.Relays) == 0 {
		return errNobodyCarries
	}
	ctx, cancel := context.WithTimeout(ctx, topicTime)
	defer cancel()
	s := &seek{n: n, code: code, heard: make(chan invites.Frame, 64)}
	today := invites.Day(n.now())
	for _, day := range []uint32{today, today - 1, today + 1} {
		top, err := s.enter(ctx, day)
		if err != nil {
			return err
		}
		defer top.Leave()
	}
	lonely := time.After(topicMeet)
	answers, previews := 0, 0
	for {
		select {
		case <-ctx.Done():
			if answers == 0 {
				return errors.New("nobody answered there for this code: ask for a new one, or try when a member is online")
			}
			return nil
		case <-lonely:
			if !s.met.Load() {
				return errNobodyCarries
			}
		case f := <-s.heard:
			switch p, who, kind := s.read(f); {
			case kind == invites.BoxAddress && !n.mesh.Connected(who.Peer):
				answers++
				found(who)
			case kind == invites.BoxPreview && previews < maxShown:
				previews++
				shown(p)
			}
		}
	}
}

var errNobodyCarries = errors.New("nobody who carries the lobby could be reached: name a node that is there for others with mutualsd --bootstrap")

// seek is one search.
type seek struct {
	n     *Node
	code  invites.Passcode
	heard chan invites.Frame
	met   atomic.Bool // somebody carries a topic
}

// enter enters the topic of a day, and asks there whenever somebody is met, and now
// and then.
func (s *seek) enter(ctx context.Context, day uint32) (*mesh.LobbyTopic, error) {
	secret := s.code.Keys().Topic
	name := invites.LobbyTopic(secret, day)
	top, err := s.n.mesh.EnterLobby(name, func(frame []byte) {
		f, err := invites.ReadFrame(name, frame, invites.Day(s.n.now()))
		if err != nil || f.Day != day || f.Kind == invites.BoxSeek {
			return
		}
		select {
		case s.heard <- f:
		default: // more than anybody could dial
		}
	})
	if err != nil {
		return nil, err
	}
	s.n.wg.Go(func() {
		wait := topicAgain
		again := time.NewTimer(wait)
		defer again.Stop()
		for asks := 0; asks < maxTopicAsks; {
			select {
			case <-ctx.Done():
				return
			case <-top.Met():
				s.met.Store(true)
			case <-again.C:
				wait *= 2
			}
			again.Reset(wait)
			if !s.met.Load() {
				continue
			}
			asks++
			frame, err := s.n.lobbyFrame(secret, invites.BoxSeek, day, nil)
			if err == nil {
				err = top.Say(ctx, frame)
			}
			if err != nil && ctx.Err() == nil {
				s.n.log.Debug("asking on the topic of a code failed", "err", err)
			}
		}
	})
	return top, nil
}

// read opens what was heard; kind is 0 if it is nothing.
func (s *seek) read(f invites.Frame) (p invites.Preview, who mesh.Found, kind invites.BoxKind) {
	switch f.Kind {
	case invites.BoxAddress:
		record, _, err := invites.OpenLobby(s.code.Keys().Topic, f.Kind, f.Sealed)
		if err != nil {
			return p, who, 0
		}
		if who, err = s.n.mesh.FoundBy(record, s.n.now(), recordAge); err != nil {
			s.n.log.Debug("who answers on the topic of a code cannot be dialled", "err", err)
			return p, who, 0
		}
	case invites.BoxPreview:
		var err error
		if p, err = invites.OpenPreview(s.code, f.Sealed); err != nil {
			return p, who, 0
		}
	default:
		return p, who, 0
	}
	return p, who, f.Kind
}

// lobbyAPI tells how this node stands in the lobby.
func (n *Node) lobbyAPI() api.Lobby {
	s := n.mesh.Lobby()
	return api.Lobby{On: s.On, Carrying: s.Carrying, Topics: s.Entered, Carried: s.Carried, Carriers: s.Carriers}
}
