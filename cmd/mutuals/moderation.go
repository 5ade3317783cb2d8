package main

import (
	"fmt"
	"strings"

	"mutuals/node/api"
)

// foldedWords tells why a message is not simply shown.
func foldedWords(why string, l api.Lang) string {
	words := map[string][2]string{
		api.FoldedPastPin:      {"sent before the removal was known", "在得知移出之前发送"},
		api.FoldedAuthorVoid:   {"its author was not let in validly", "发送者的入群无效"},
		api.FoldedSilenced:     {"sent before it was known that its author may not post", "在得知发送者不得发言之前发送"},
		api.FoldedKeyMissing:   {"its key has not arrived", "密钥尚未收到"},
		api.FoldedBeforeJoined: {"said before you joined", "在你入群之前"},
		api.FoldedMalformed:    {"cannot be read", "无法读取"},
		api.FoldedNotAllowed:   {"its author had no right to say it", "发送者无权这样说"},
	}
	w, ok := words[why]
	switch {
	case !ok:
		return why
	case l == api.Chinese:
		return w[1]
	}
	return w[0]
}

// moderationWords is the line of a reason: what was done, to whom, why.
func moderationWords(actor string, m api.Message) string {
	var did string
	if len(m.Acts) > 0 {
		did = actWords(m.Acts[0])
		if more := m.ActsCount - 1; more > 0 {
			did += fmt.Sprintf(" and %d more", more)
		}
		if !m.Acts[0].InForce {
			did += " (void)"
		}
	}
	// The reason is on one line: nobody writes what looks like another line.
	return strings.TrimSpace(oneLine(actor)+" "+did) + ": " + oneLine(m.Text)
}

// actWords tells what was done, after the name of who did it.
func actWords(a api.Act) string {
	target := oneLine(a.TargetName)
	if target == "" && !a.Target.IsZero() {
		target = short(a.Target)
	}
	device := short(a.TargetDevice) // of the kinds that are about one
	switch a.Kind {
	case api.ActGenesis:
		return "made the group"
	case api.ActAdmit:
		return "let in " + target
	case api.ActLeave:
		return "left"
	case api.ActRemove:
		return "removed " + target
	case api.ActRole:
		return "made " + target + " " + map[string]string{api.RoleAdmin: "an admin", api.RoleMember: "a plain member"}[a.Role]
	case api.ActTransfer:
		return "handed the group to " + target
	case api.ActSucceed:
		return "and the admins made " + target + " owner"
	case api.ActPolicy:
		return "changed the rules" + rulesWords(a)
	case api.ActInvite:
		return "made an invite"
	case api.ActInviteRevoke:
		return "revoked an invite of " + target
	case api.ActDevAdd:
		return fmt.Sprintf("let in device %s of %s", device, target)
	case api.ActDevRevoke:
		return fmt.Sprintf("revoked device %s of %s", device, target)
	case api.ActFault:
		return fmt.Sprintf("proved that device %s of %s contradicts itself", device, target)
	case api.ActHarbor:
		return "appointed, changed or withdrew harbor " + device
	}
	return a.Kind
}

// rulesWords are the rules that an act set.
func rulesWords(a api.Act) string {
	if a.Policy == nil {
		return ""
	}
	return fmt.Sprintf(" (%d seats, %s invite, %s post, history %s)", a.Cap, a.Policy.WhoInvites, a.Policy.Posting, a.Policy.History)
}
