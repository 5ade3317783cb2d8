package node

import (
	"testing"
	"time"

	"mutuals/node/api"
)

// Each way a passcode can be dead is told apart, by the sponsor that knows.
func TestDeadPasscodes(t *testing.T) {
	t.Parallel()
	c := &clock{}
	a, b, d := newClockedNode(t, "Ann", c), newClockedNode(t, "Bo", c), testNode(t, "Di")
	g := newGroup(t, a, api.GroupCreate{})

	once := invite(t, a, g, 1, "")
	join(t, b, once)
	if task := tryJoin(t, d, once); problemCode(task) != api.InviteUsed {
		t.Errorf("used up: %+v", task)
	}
	revoked := invite(t, a, g, 5, "")
	if got := must[api.Invite](t)(a.RevokeInvite(t.Context(), g, revoked.ID.String())); !got.Revoked {
		t.Errorf("a revoked invite says %+v", got)
	}
	if task := tryJoin(t, d, revoked); problemCode(task) != api.InviteRevoked {
		t.Errorf("revoked: %+v", task)
	}

	short := invite(t, a, g, 5, "40s")
	c.shift(time.Minute) // over for the members, not yet for Di, whose clock is behind
	if task := tryJoin(t, d, short); problemCode(task) != api.InviteExpired {
		t.Errorf("expired by the sponsor's clock: %+v", task)
	}
	late := newClockedNode(t, "Ed", c)
	if _, err := late.JoinByPasscode(t.Context(), short.Passcode); code(err) != api.InviteExpired {
		t.Errorf("expired by the reader's clock: %v", err)
	}
	if g, err := d.Group(t.Context(), g); code(err) != api.NotFound {
		t.Errorf("who was refused has a group: %+v, %v", g, err)
	}
	join(t, d, invite(t, a, g, 1, ""))
}

func TestDeclinedOffer(t *testing.T) {
	a, b := testNode(t, "Ann"), testNode(t, "Bo")
	befriend(t, a, b)
	g := newGroup(t, a, api.GroupCreate{})
	task := must[api.Task](t)(a.AddMember(t.Context(), g, b.dev.account()))
	within(t, b, patience, "an offer", func() bool { return len(must[[]api.Request](t)(b.Requests(t.Context()))) == 1 })
	offer := must[[]api.Request](t)(b.Requests(t.Context()))[0]
	must[api.Request](t)(b.AnswerRequest(t.Context(), offer.ID, false))
	if task = waitTask(t, a, task.ID); task.Stage != api.StageDeclined || problemCode(task) != api.Declined {
		t.Errorf("a declined offer: %+v", task)
	}
	if _, err := b.Group(t.Context(), g); code(err) != api.NotFound {
		t.Errorf("who declined has the group: %v", err)
	}
}
