package api

import (
	"fmt"
	"strings"
)

// Finding is one line of doctor. Its words are English; In gives them in
// another language, and so can any front end by code and args.
type Finding struct {
	Check  string        `json:"check" doc:"what was looked at, one word"`
	Level  string        `json:"level" enum:"ok,warning,error"`
	Code   FindingCode   `json:"code,omitempty" doc:"what was found, for front ends that have words of their own"`
	Args   Array[string] `json:"args,omitempty" doc:"what the words of this code name, in their order"`
	Title  string        `json:"title"`
	Detail string        `json:"detail,omitempty"`
	Hint   string        `json:"hint,omitempty" doc:"the one next action"`
}

// FindingCode says what doctor found.
type FindingCode string

// The codes, a closed list: the check and what it found.
const (
	FoundKeysUnsealed     FindingCode = "keys_unsealed"
	FoundWordsMissing     FindingCode = "words_missing"
	FoundWordsKept        FindingCode = "words_kept"
	FoundDiskIsFull       FindingCode = "disk_full"
	FoundDiskIsReadOnly   FindingCode = "disk_read_only"
	FoundDiskIsUnknown    FindingCode = "disk_unknown"
	FoundDiskIsLow        FindingCode = "disk_low"
	FoundDiskIsSlow       FindingCode = "disk_slow"
	FoundDiskHasRoom      FindingCode = "disk_ok"
	FoundGroupUnreadable  FindingCode = "group_unreadable"
	FoundStoreDamaged     FindingCode = "store_damaged"
	FoundListensNowhere   FindingCode = "network_nowhere"
	FoundNetworkStands    FindingCode = "network_ok"
	FoundPublicByRelay    FindingCode = "public_relay_only"
	FoundPublicClosed     FindingCode = "public_closed"
	FoundPublicNoAddress  FindingCode = "public_no_address"
	FoundPublicUntried    FindingCode = "public_untried"
	FoundPublicReached    FindingCode = "public_ok"
	FoundDeviceEnded      FindingCode = "device_revoked"
	FoundHomeCopied       FindingCode = "clone"
	FoundFollowsUnsure    FindingCode = "follows_unconfirmed"
	FoundClockAhead       FindingCode = "clock_ahead"
	FoundClockBehind      FindingCode = "clock_behind"
	FoundClockMaybeAhead  FindingCode = "clock_maybe_ahead"
	FoundClockMaybeBehind FindingCode = "clock_maybe_behind"
	FoundClockMaybeSlow   FindingCode = "clock_maybe_slow"
	FoundClockAgrees      FindingCode = "clock_ok"
	FoundClockAlone       FindingCode = "clock_alone"
	FoundPeersShutOut     FindingCode = "peers_shut_out"
	FoundStrangersShutOut FindingCode = "strangers_shut_out"
	FoundGossipOverflowed FindingCode = "gossip_overflowed"
)

// findingWords are a finding's in one language: {1} is the first of its args, <1>
// if that is one of findingTerms.
type findingWords struct{ title, detail, hint string }

type findingKind struct {
	check, level string
	en, zh       findingWords
}

var findingKinds = map[FindingCode]findingKind{
	FoundKeysUnsealed: {"keys", "warning",
		findingWords{"the keys of this device are protected by the file permission only", "", "keep this home on an encrypted disk"},
		findingWords{"本设备的密钥只靠文件权限保护", "", "把这个数据目录放在加密的磁盘上"}},
	FoundWordsMissing: {"words", "warning",
		findingWords{"the 24 words were not written down yet", "", `run "mutuals id words" and keep them on paper`},
		findingWords{"还没有抄下 24 个单词", "", "运行 mutuals id words，抄在纸上收好"}},
	FoundWordsKept: {"words", "ok",
		findingWords{title: "the 24 words were written down"},
		findingWords{title: "24 个单词已经抄下"}},
	FoundDiskIsFull: {"disk", "error",
		findingWords{"the disk is full: {1} MiB are free, below {2} nothing is written", "what is here can be read, and what others write meanwhile comes once there is room", "free some space; writing goes on by itself"},
		findingWords{"磁盘已满：剩 {1} MiB，低于 {2} 就什么也不写", "已有的都能读，别人这段时间写的等有空间时补收", "腾出一些空间，之后会自动继续写入"}},
	FoundDiskIsReadOnly: {"disk", "error",
		findingWords{"the disk takes no writes: its file system is read-only", "what is here can be read; a system makes a file system read-only when its disk fails", "look into the system's log, then make it writable; writing goes on by itself"},
		findingWords{"磁盘不能写入：文件系统是只读的", "已有的都能读；磁盘出故障时系统会把文件系统改为只读", "查看系统日志，再恢复为可写；之后会自动继续写入"}},
	FoundDiskIsUnknown: {"disk", "error",
		findingWords{"the system does not tell how much room the disk has, so nothing is written", "", "look into the system's log"},
		findingWords{"系统没有说磁盘还剩多少空间，所以什么也不写", "", "查看系统日志"}},
	FoundDiskIsLow: {"disk", "warning",
		findingWords{"little space is left on this disk: {1} MiB", "of whoever said more than {2} things while this node was away nothing is fetched until there is room", "free some space: below {3} MiB little is fetched, below {4} nothing is written"},
		findingWords{"磁盘快满了：剩 {1} MiB", "离开期间谁说了超过 {2} 条，有空间之前不补收", "腾出一些空间：低于 {3} MiB 少补收，低于 {4} 就什么也不写"}},
	FoundDiskIsSlow: {"disk", "warning",
		findingWords{"this disk is slow: a write took {1}", "", "see what else uses it, or whether it fails"},
		findingWords{"磁盘很慢：一次写入用了 {1}", "", "看看还有什么在用它，或者它是不是快坏了"}},
	FoundDiskHasRoom: {"disk", "ok",
		findingWords{title: "there is space on this disk"},
		findingWords{title: "磁盘空间够用"}},
	FoundStoreDamaged: {"store", "error",
		findingWords{"the store is damaged: {1} of its blocks cannot be read", "messages are missing from what is shown, and it does not look so", "stop the node (mutuals down), copy the home, then run mutualsd store repair"},
		findingWords{"存储已损坏：有 {1} 个块读不出来", "显示的内容里缺了消息，却看不出来", "停止节点（mutuals down），先拷贝主目录，再运行 mutualsd store repair"}},
	FoundGroupUnreadable: {"store", "error",
		findingWords{"the group {1} cannot be read from the disk", "{2}; the other groups are open, and nothing of this one is written over", "stop the node (mutuals down), copy the home, then run mutualsd store repair; if that does not help, a backup or the 24 words bring the group back in a new home"},
		findingWords{"群 {1} 无法从磁盘读出", "{2}；其他群照常打开，这个群的数据不会被覆盖", "停止节点（mutuals down），先拷贝主目录，再运行 mutualsd store repair；若仍不行，可用备份或 24 个单词在新的主目录里找回这个群"}},
	FoundListensNowhere: {"network", "error",
		findingWords{"this node listens nowhere", "", "check --listen"},
		findingWords{"本节点没有监听任何地址", "", "检查 --listen"}},
	FoundNetworkStands: {"network", "ok",
		findingWords{title: "told at {1} addresses, linked to {2} peers, from outside <3>, NAT <4>, a place at {5} relays"},
		findingWords{title: "公布 {1} 个地址，连着 {2} 个节点，从外面<3>，NAT <4>，在 {5} 个中继有位置"}},
	FoundPublicByRelay: {"public", "warning",
		findingWords{"this node is <1>, and others come to it by relays only", "", "start it with --relay auto or off"},
		findingWords{"本节点是<1>，但别人只能经中继过来", "", "用 --relay auto 或 off 启动"}},
	FoundPublicClosed: {"public", "warning",
		findingWords{"this node is <1>, and others who tried could not dial it: its port is closed", "", "open the ports of --listen, UDP and TCP, in the machine's firewall, the provider's and on the router"},
		findingWords{"本节点是<1>，但试过的人都连不上：端口没有开放", "", "在本机、服务商的防火墙和路由器上开放 --listen 的端口（UDP 和 TCP）"}},
	FoundPublicNoAddress: {"public", "warning",
		findingWords{"this node is <1>, and has no public address", "others find it at {2}", "run it where it has a public address, or forward a fixed port (--listen) on the router; in a container use the host's network"},
		findingWords{"本节点是<1>，但没有公网地址", "别人在这里找到它：{2}", "放到有公网地址的机器上运行，或在路由器上转发一个固定端口（--listen）；在容器里请用宿主机的网络"}},
	FoundPublicUntried: {"public", "warning",
		findingWords{"this node is <1> at {2}; nobody has tried yet whether others can dial it", "", "look again when somebody was linked to it for a minute"},
		findingWords{"本节点是<1>，地址 {2}；还没有人试过能不能连入", "", "等有人连上一分钟后再看"}},
	FoundPublicReached: {"public", "ok",
		findingWords{title: "this node is <1>, and others dial it at {2}"},
		findingWords{title: "本节点是<1>，别人从 {2} 连入"}},
	FoundDeviceEnded: {"device", "error",
		findingWords{"this device was revoked by its account: it reads what it has and writes nothing", "", "delete this home, and link the machine anew, or take the account up from its words in a new one"},
		findingWords{"本设备已被它的账号吊销：只能读已有的，不能再写", "", "删除这个数据目录，重新关联这台机器，或在新目录里用单词恢复账号"}},
	FoundHomeCopied: {"clone", "error",
		findingWords{"another copy of this home runs, or ran: two nodes write as one device", "this one has stopped writing in the groups where that showed", "end one of the two for good and delete its home; then restart the other, and if a group still refuses it, take the account up from its words in a new home"},
		findingWords{"这个数据目录有另一份副本在运行或运行过：两个节点以同一设备写入", "在发现了这一点的群里，本节点已停止写入", "永久停掉其中一个并删除它的目录，再重启另一个；如果还有群拒绝它，就在新目录里用单词恢复账号"}},
	FoundFollowsUnsure: {"restore", "warning",
		findingWords{"this device was made from the words; others say that you follow {1} people, which was not confirmed", "", `run "mutuals follows", then "mutuals follows --confirm"`},
		findingWords{"本设备由单词恢复；别人说你关注了 {1} 人，还没有确认", "", "先运行 mutuals follows，再运行 mutuals follows --confirm"}},
	FoundClockAhead: {"clock", "error",
		findingWords{"this clock is {1} ahead of the median of other members': nothing is written until it is set", "", clockHint},
		findingWords{"本机时钟比其他成员的中位数快 {1}：校准之前什么也不写", "", clockHintZh}},
	FoundClockBehind: {"clock", "error",
		findingWords{"this clock is {1} behind the median of other members': nothing is written until it is set", "", clockHint},
		findingWords{"本机时钟比其他成员的中位数慢 {1}：校准之前什么也不写", "", clockHintZh}},
	FoundClockMaybeAhead: {"clock", "warning",
		findingWords{"this clock is {1} ahead of those of the members heard: one side is wrong", "", clockHint},
		findingWords{"本机时钟比联系到的成员快 {1}：有一边不对", "", clockHintZh}},
	FoundClockMaybeBehind: {"clock", "warning",
		findingWords{"this clock is {1} behind those of the members heard: one side is wrong", "", clockHint},
		findingWords{"本机时钟比联系到的成员慢 {1}：有一边不对", "", clockHintZh}},
	FoundClockMaybeSlow: {"clock", "warning",
		findingWords{"what others write is dated ahead of this clock: it is probably slow, or theirs are fast", "", clockHint},
		findingWords{"别人写的时间在本机时钟之后：可能本机慢了，或他们快了", "", clockHintZh}},
	FoundClockAgrees: {"clock", "ok",
		findingWords{title: "this clock agrees with other members'"},
		findingWords{title: "本机时钟与其他成员一致"}},
	FoundClockAlone: {"clock", "ok",
		findingWords{title: "fewer than three members were heard to compare this clock with"},
		findingWords{title: "联系到的成员不足三个，无从比对时钟"}},
	FoundPeersShutOut: {"peers", "warning",
		findingWords{"{1} peers sent what no honest peer sends, and are shut out for a while: {2}", "", updateHint},
		findingWords{"{1} 个节点发来了正常节点不会发的东西，暂时拒之门外：{2}", "", updateHintZh}},
	FoundStrangersShutOut: {"peers", "warning",
		findingWords{"{1} peers sent what no honest peer sends, and are shut out for a while", "", updateHint},
		findingWords{"{1} 个节点发来了正常节点不会发的东西，暂时拒之门外", "", updateHintZh}},
	FoundGossipOverflowed: {"gossip", "warning",
		findingWords{title: "{1} arrivals overflowed and were fetched by sync instead"},
		findingWords{title: "有 {1} 条消息来得太快，改由同步补收"}},
}

const (
	clockHint   = "set the clock of this machine, or let it be set from the network"
	clockHintZh = "校准这台机器的时钟，或设为自动从网络校时"

	updateHint   = "if it is somebody you know, their copy may be too old or broken: ask them to update it"
	updateHintZh = "如果是你认识的人，对方的程序可能太旧或坏了：请对方更新"
)

// findingTerms are args that are words themselves.
var findingTerms = map[string][2]string{
	"harbor":        {"a harbor", "港湾"},
	"relay":         {"a relay", "中继"},
	"harbor_relay":  {"a harbor and a relay", "港湾兼中继"},
	"reach_public":  {"public", "可以直接连入"},
	"reach_private": {"private", "不能直接连入"},
	"reach_unknown": {"unknown", "还没有人试过"},
	"nat_unknown":   {"unknown", "未知"},
	"nat_none":      {"none", "没有"},
	"nat_cone":      {"cone", "锥形"},
	"nat_symmetric": {"symmetric", "对称型"},
}

// findingKindOf knows the codes above and, with adviceFinding before them, those
// of Advice.
func findingKindOf(code FindingCode) (findingKind, bool) {
	if k, ok := findingKinds[code]; ok {
		return k, true
	}
	a, ok := strings.CutPrefix(string(code), string(adviceFinding))
	if _, known := advice[a]; !ok || !known {
		return findingKind{}, false
	}
	return findingKind{"network", "warning",
		findingWords{title: AdviceText(a, English), hint: `run "mutuals network" for what was tried`},
		findingWords{title: AdviceText(a, Chinese), hint: "运行 mutuals network 看看试过什么"}}, true
}

// adviceFinding stands before a code of Advice where doctor tells it.
const adviceFinding FindingCode = "advice_"

// AdviceFinding is what doctor says of an Advice.
func AdviceFinding(code string) Finding { return NewFinding(adviceFinding + FindingCode(code)) }

// NewFinding makes a finding of a code and what its words name. It panics on a
// code that is not of the list.
func NewFinding(code FindingCode, args ...any) Finding {
	k, ok := findingKindOf(code)
	if !ok {
		panic("internal error: doctor has no words for " + string(code))
	}
	f := Finding{Check: k.check, Level: k.level, Code: code}
	for _, a := range args {
		f.Args = append(f.Args, fmt.Sprint(a))
	}
	return f.put(k.en, 0)
}

// In is the finding in a language; one without words for its code, of a newer
// node or about the store's files, stays as it is.
func (f Finding) In(l Lang) Finding {
	k, ok := findingKindOf(f.Code)
	if !ok || l != Chinese {
		return f
	}
	return f.put(k.zh, 1)
}

func (f Finding) put(w findingWords, lang int) Finding {
	var pairs []string
	for i, a := range f.Args {
		pairs = append(pairs, fmt.Sprintf("{%d}", i+1), a)
		if term, ok := findingTerms[a]; ok {
			pairs = append(pairs, fmt.Sprintf("<%d>", i+1), term[lang])
		}
	}
	r := strings.NewReplacer(pairs...)
	f.Title, f.Detail, f.Hint = r.Replace(w.title), r.Replace(w.detail), r.Replace(w.hint)
	return f
}
