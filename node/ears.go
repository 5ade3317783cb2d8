package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/mesh"
)

// Bounds of answering who looks on a code's topic (PROTOCOLS.md N21).
const (
	// maxEars bounds the codes of all groups on whose topics one device is.
	maxEars = 32
	// earLate is how much later than the day a device goes to its topic, at random:
	// who looks is on yesterday's too, and not all move at once.
	earLate = time.Hour
	// answerBurst and answerEvery bound answers on one topic: each serves all who
	// look at that moment.
	answerBurst, answerEvery = 8, 10 * time.Second
	// maxSeeks is how many questions on a topic are remembered twice over: what was
	// answered is not answered when somebody repeats it soon.
	maxSeeks = 512
	// answerSpread is the wait before an answer, at random, in which others' are heard,
	// and enoughAnswers how many of those make one's own needless.
	answerSpread, enoughAnswers = 300 * time.Millisecond, 3
	// maxRecordSaid bounds a record in an answer, that it fits its box.
	maxRecordSaid = invites.MaxLobbyAddress - 64
)

// judgeLobby tells what becomes of a frame on a topic, whoever's it is.
func (n *Node) judgeLobby(topic [32]byte, frame []byte) mesh.Verdict {
	switch _, err := invites.ReadFrame(topic, frame, invites.Day(n.now())); {
	case errors.Is(err, invites.ErrStaleFrame):
		return mesh.Ignore
	case err != nil:
		return mesh.Reject
	}
	return mesh.Accept
}

// ears are the topics on which this device answers, by their name.
type ears struct {
	late time.Duration
	by   map[[32]byte]*ear
}

func (e *ears) close() {
	for _, one := range e.by {
		one.top.Leave()
	}
}

// ear is one topic of one code and day.
type ear struct {
	n   *Node
	r   *room
	row lobbyRow
	day uint32
	top *mesh.LobbyTopic

	mu               sync.Mutex
	answered, before map[[32]byte]struct{} // seeks, by their hash
	others           int                   // answers of others since the last seek
	waiting          bool                  // an answer is about to be given
	may              *rate.Limiter
}

// listenFor is on the topics of the codes for whose holders this device is there,
// if who finds it could reach it.
func (n *Node) listenFor(places []meeting, now time.Time, soon func(time.Time)) {
	if !n.cfg.Lobby {
		return
	}
	if n.ears.by == nil {
		n.ears = ears{late: rand.N(earLate), by: map[[32]byte]*ear{}}
	}
	day := invites.Day(now.Add(-n.ears.late))
	soon(time.Unix(int64(day+1)*86400, 0).Add(n.ears.late))
	want := map[[32]byte]bool{}
	for _, p := range places {
		for _, row := range p.codes {
			if len(want) == maxEars || !n.worthListing() {
				break
			}
			if row.Topic == ([32]byte{}) {
				continue // a member may say so, of its own code: of no other
			}
			name := invites.LobbyTopic(row.Topic, day)
			want[name] = true
			if n.ears.by[name] != nil {
				continue
			}
			e := &ear{n: n, r: p.room, row: row, day: day, may: rate.NewLimiter(rate.Every(answerEvery), answerBurst)}
			e.mu.Lock() // until top is set
			var err error
			if e.top, err = n.mesh.EnterLobby(name, e.hear); err == nil {
				n.ears.by[name] = e
			} else if n.ctx.Err() == nil {
				n.log.Warn("entering the topic of a code failed", "err", err)
			}
			e.mu.Unlock()
		}
	}
	for name, e := range n.ears.by {
		if !want[name] {
			e.top.Leave()
			delete(n.ears.by, name)
		}
	}
}

// hear takes what is said on the topic.
func (e *ear) hear(frame []byte) {
	f, err := invites.ReadFrame(invites.LobbyTopic(e.row.Topic, e.day), frame, invites.Day(e.n.now()))
	if err != nil || f.Day != e.day {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch f.Kind {
	case invites.BoxAddress:
		e.others++
	case invites.BoxSeek:
		if _, _, err := invites.OpenLobby(e.row.Topic, invites.BoxSeek, f.Sealed); err != nil || !e.first(wire.Hash(f.Sealed)) {
			return
		}
		if e.waiting || !e.may.AllowN(e.n.now(), 1) {
			return // the answer that is about to be given serves this one too
		}
		e.waiting, e.others = true, 0
		e.n.wg.Go(func() { e.answer(e.n.ctx) })
	}
}

// first tells whether a seek is not remembered, and remembers it. The lock is held.
func (e *ear) first(id [32]byte) bool {
	_, now := e.answered[id]
	_, old := e.before[id]
	if now || old {
		return false
	}
	remember(&e.answered, &e.before, id, maxSeeks)
	return true
}

// answer says where this device is, and, if it made the code, what it leads to.
func (e *ear) answer(ctx context.Context) {
	if !pause(ctx, rand.N(answerSpread)) {
		return
	}
	e.mu.Lock()
	e.waiting = false
	enough := e.others >= enoughAnswers
	e.mu.Unlock()
	if enough || !e.stands() {
		return
	}
	err := e.say(ctx, invites.BoxAddress, e.n.mesh.ShortRecord(maxRecordSaid))
	if err == nil {
		err = e.sayPreview(ctx)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, mesh.ErrLeft) {
		e.n.log.Debug("answering on the topic of a code failed", "err", err)
	}
}

// stands tells whether the code lets somebody in still, and this device is there to
// do so: a code expires between two looks at the topics.
func (e *ear) stands() bool {
	v := e.r.view.Load()
	i, ok := v.state.Invite(e.row.Invite)
	return ok && i.Live(e.n.nowMs()) && (v.seated() || v.office.Appointed)
}

func (e *ear) say(ctx context.Context, kind invites.BoxKind, plain []byte) error {
	frame, err := e.n.lobbyFrame(e.row.Topic, kind, e.day, plain)
	if err != nil {
		return err
	}
	return e.top.Say(ctx, frame)
}

// sayPreview says what the group looks like, if this device made the code and that
// fits.
func (e *ear) sayPreview(ctx context.Context) error {
	if e.r.view.Load().blind {
		return nil
	}
	sealed := e.r.ownPreview(e.row.Invite, e.day)
	if sealed == nil || len(sealed)+len(wire.Sig{}) > invites.MaxLobbyFrame {
		return nil
	}
	return e.top.Say(ctx, invites.SignFrame(e.row.Topic, e.day, sealed))
}

// lobbyFrame seals and signs something for the topic of a day.
func (n *Node) lobbyFrame(secret [32]byte, kind invites.BoxKind, day uint32, plain []byte) ([]byte, error) {
	var salt [16]byte
	if _, err := io.ReadFull(n.cfg.Rand, salt[:]); err != nil {
		return nil, fmt.Errorf("drawing a salt: %w", err)
	}
	return invites.SignFrame(secret, day, invites.SealLobby(secret, kind, day, salt, plain)), nil
}
