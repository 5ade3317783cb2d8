package node

import (
	"time"

	"golang.org/x/time/rate"

	"mutuals/groups"
)

const (
	// fewWords is how many words at most a pull brings at once to somebody whom gossip
	// should have told of them; more is a history that he was not there for.
	fewWords = 64
	// passedBurst is how often the words of one device are told to all because they
	// passed gossip by, and then once in haveSlow: who says all he says in no topic
	// costs each member a have to each link.
	passedBurst = 4
)

// passed notes where words came that gossip did not bring: they will have passed
// others by too, and all links are told of them.
type passed struct {
	chains map[chainOf]bool // since links were told last
	often  map[chainOf]*rate.Limiter
}

// by notes words that a pull brought.
func (p *passed) by(ops []*groups.Op, now time.Time) {
	for _, op := range ops {
		at := chainOf{op.IncID(), op.Chain}
		if at.chain != groups.Content || p.chains[at] {
			continue
		}
		if p.often == nil {
			p.often = map[chainOf]*rate.Limiter{}
		}
		if p.often[at] == nil {
			p.often[at] = rate.NewLimiter(rate.Every(haveSlow), passedBurst)
		}
		if !p.often[at].AllowN(now, 1) {
			continue
		}
		if p.chains == nil {
			p.chains = map[chainOf]bool{}
		}
		p.chains[at] = true
	}
}

// take returns the chains noted and forgets them.
func (p *passed) take() map[chainOf]bool {
	chains := p.chains
	p.chains = nil
	return chains
}
