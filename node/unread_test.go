package node

import (
	"testing"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// What was read stays read over a restart, and the last message is found again.
func TestUnreadAndLatest(t *testing.T) {
	t.Parallel()
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
	must[api.Message](t)(a.Send(t.Context(), g, api.MessageCreate{Text: "@Bo", Mentions: []wire.AccountID{b.dev.account()}}))
	must[api.Message](t)(a.Send(t.Context(), g, api.MessageCreate{Text: "@Ann", Mentions: []wire.AccountID{a.dev.account()}}))
	hears(t, b, g, "@Ann")
	called := func() (int, int) {
		g := must[api.Group](t)(b.Group(t.Context(), g))
		return g.Unread, g.UnreadMentions
	}
	within(t, b, patience, "one mention", func() bool { unread, mentions := called(); return unread == 3 && mentions == 1 })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = openNode(t, dir)
	if unread, mentions := called(); unread != 3 || mentions != 1 {
		t.Fatalf("%d unread, %d mentions after a restart, want 3 and 1", unread, mentions)
	}
	last := must[api.Group](t)(b.Group(t.Context(), g)).LastMessage
	if last == nil || last.Text != "@Ann" {
		t.Fatalf("last message after a restart: %+v", last)
	}
	here := must[api.Group](t)(b.Group(t.Context(), g))
	if here.ReadTo != page.Items[0].ID {
		t.Errorf("read to %v, want %v", here.ReadTo, page.Items[0].ID)
	}
	behind := must[api.MessagePage](t)(b.Messages(t.Context(), g, api.Page{After: here.ReadTo.String()}))
	if len(behind.Items) != 3 || behind.Items[0].Text != "two" {
		t.Errorf("behind the marker: %+v", behind.Items)
	}
	if err := b.MarkRead(t.Context(), g, last.ID.String()); err != nil {
		t.Fatal(err)
	}
	if unread, mentions := called(); unread != 0 || mentions != 0 {
		t.Errorf("%d unread, %d mentions once all is read", unread, mentions)
	}
}
