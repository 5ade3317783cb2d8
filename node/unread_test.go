package node

import (
	"testing"

	"mutuals/node/api"
)

// What was read stays read over a restart, and the last message is found again.
func TestUnreadAndLatest(t *testing.T) {
	dir := t.TempDir()
	a, b := testNode(t, "Ann"), openNode(t, dir)
	must[api.Identity](t)(b.CreateIdentity(t.Context(), api.IdentityCreate{Name: "Bo"}))
	g := must[api.Group](t)(a.CreateGroup(t.Context(), api.GroupCreate{Name: "Books"})).ID
	inv := must[api.Invite](t)(a.CreateInvite(t.Context(), g, api.InviteCreate{}))
	if task := waitTask(t, b, must[api.Task](t)(b.JoinByPasscode(t.Context(), inv.Text)).ID); task.Stage != api.StageJoined {
		t.Fatalf("join: %+v", task)
	}
	say(t, a, g, "one")
	say(t, a, g, "two")
	hears(t, b, g, "two")
	unread := func() int { return must[api.Group](t)(b.Group(t.Context(), g)).Unread }
	within(t, b, patience, "two unread", func() bool { return unread() == 2 })
	page := must[api.MessagePage](t)(b.Messages(t.Context(), g, api.Page{}))
	if err := b.MarkRead(t.Context(), g, page.Items[0].ID.String()); err != nil {
		t.Fatal(err)
	}
	within(t, b, patience, "one unread", func() bool { return unread() == 1 })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = openNode(t, dir)
	if got := unread(); got != 1 {
		t.Fatalf("%d unread after a restart, want 1", got)
	}
	last := must[api.Group](t)(b.Group(t.Context(), g)).LastMessage
	if last == nil || last.Text != "two" {
		t.Fatalf("last message after a restart: %+v", last)
	}
}
