package api

import "strings"

// The closed list of codes. It grows at the end; a code keeps its meaning.
const (
	NotMutual           Code = "not_mutual"
	GroupFull           Code = "group_full"
	Waitlisted          Code = "waitlisted"
	NotMember           Code = "not_member"
	RoleNeeded          Code = "role_needed"
	InviteExpired       Code = "invite_expired"
	InviteUsed          Code = "invite_used"
	InviteRevoked       Code = "invite_revoked"
	Removed             Code = "removed"
	Declined            Code = "declined"
	NoIdentity          Code = "no_identity"
	PasscodeMalformed   Code = "passcode_malformed" // no passcode in the text
	PasscodeCutOff      Code = "passcode_cut_off"
	PasscodeMistyped    Code = "passcode_mistyped" // args part, letters
	PasscodeNewer       Code = "passcode_newer"
	AlreadyMember       Code = "already_member"
	Revoked             Code = "revoked" // this device, by its account
	Pending             Code = "pending"
	ClockWrong          Code = "clock_wrong"
	NotFound            Code = "not_found"
	NotAllowed          Code = "not_allowed"
	Unauthorized        Code = "unauthorized"
	BadRequest          Code = "bad_request"
	RateLimited         Code = "rate_limited"
	Timeout             Code = "timeout"
	DiskFull            Code = "disk_full"
	Internal            Code = "internal"
	Locked              Code = "locked"
	NotSynced           Code = "not_synced"
	TooLarge            Code = "too_large"
	KeyMissing          Code = "key_missing"
	PeerUnreachable     Code = "peer_unreachable"
	IdempotencyConflict Code = "idempotency_conflict"
	CursorInvalid       Code = "cursor_invalid"
	UpdateNeeded        Code = "update_needed"
	ProofInvalid        Code = "proof_invalid" // args where (operation from 1, 0 for the whole), why
	OwnerStays          Code = "owner_stays"
	CapTooLow           Code = "cap_too_low"   // args cap, taken
	NoSuccession        Code = "no_succession" // args from (a time), or none
	DirectConversation  Code = "direct_conversation"
	OtherLeft           Code = "other_left"
	OnlyCopy            Code = "only_copy"    // args count, groups (names)
	DevicesFull         Code = "devices_full" // args device: the one to revoke first
	LinkCodeBad         Code = "link_code_bad"
	LinkCodeExpired     Code = "link_code_expired"
	LinkEnded           Code = "link_ended"
	NumberWrong         Code = "number_wrong"
	AdmissionVoid       Code = "admission_void"
	NoHarbor            Code = "no_harbor"
	Cloned              Code = "cloned" // a copy of this home writes too
	FileExists          Code = "file_exists"
	BackupKey           Code = "backup_key" // wrong words or passphrase
	BackupBad           Code = "backup_bad" // damaged, forged, or no backup
	BackupCutOff        Code = "backup_cut_off"
	BackupForeign       Code = "backup_foreign"
	DiskReadOnly        Code = "disk_read_only"
	ExportInvalid       Code = "export_invalid" // args line, why
	ReceiptsOff         Code = "receipts_off"
	GroupUnreadable     Code = "group_unreadable" // args why
)

// Exit is the exit code of a command.
type Exit int

// The exit codes of the CLI.
const (
	ExitOK          Exit = 0
	ExitFailure     Exit = 1
	ExitUsage       Exit = 2
	ExitNotRunning  Exit = 3
	ExitNotAllowed  Exit = 4
	ExitNotFound    Exit = 5
	ExitNetwork     Exit = 6 // network or timeout
	ExitLocked      Exit = 7
	ExitConflict    Exit = 8 // conflict, full or used up
	ExitInterrupted Exit = 130
)

// entry is one row of the list.
type entry struct {
	status    int
	retryable bool
	exit      Exit
	en, zh    words
}

// words tell a problem in one language. detail may name args as {part}; when
// one of them is missing the title stands for it.
type words struct{ title, detail, hint string }

func (e entry) words(l Lang) words {
	if l == Chinese {
		return e.zh
	}
	return e.en
}

// tell fills args into the detail.
func (w words) tell(args map[string]string) string {
	d := w.detail
	for k, v := range args {
		d = strings.ReplaceAll(d, "{"+k+"}", v)
	}
	if d == "" || strings.Contains(d, "{") {
		return w.title
	}
	return d
}

func entryOf(c Code) entry {
	e, ok := codes[c]
	if !ok {
		panic("internal error: no problem code " + string(c))
	}
	return e
}

// Codes returns every code there is.
func Codes() []Code {
	all := make([]Code, 0, len(codes))
	for c := range codes {
		all = append(all, c)
	}
	return all
}

// codes is the list: status, whether trying again may help, the CLI's exit
// code, and the words. A hint is one next action.
var codes = map[Code]entry{
	NotMutual: {403, false, ExitNotAllowed,
		words{"You do not follow each other", "Only mutuals can be offered a seat.", "Send them your card (mutuals id card), or give them a passcode (mutuals invite)."},
		words{"你们还没有互关", "只能把互关的人拉进群。", "把你的名片发给对方（mutuals id card），或者给对方一个口令（mutuals invite）。"}},
	GroupFull: {409, true, ExitConflict,
		words{"The group is full", "All {cap} seats are taken.", "Ask the owner to raise the cap, or try again when somebody has left."},
		words{"群已满", "{cap} 个名额都已占用。", "请群主提高人数上限，或等有人退群后再试。"}},
	Waitlisted: {409, true, ExitConflict,
		words{"You are on the waitlist", "You are number {place} in line.", "Wait: you enter by yourself when a seat is free."},
		words{"你在候补名单中", "你排在第 {place} 位。", "请等待：一有空位你会自动入群。"}},
	NotMember: {403, false, ExitNotAllowed,
		words{"Not a member of this group", "", "Ask a member for a passcode, then run mutuals join."},
		words{"不是这个群的成员", "", "向群成员要一个口令，然后运行 mutuals join。"}},
	RoleNeeded: {403, false, ExitNotAllowed,
		words{"Your role does not allow this", "It needs the role {role}.", "Ask the owner or an admin of the group to do it."},
		words{"你的身份不能这样做", "需要群主或管理员的身份。", "请群主或管理员来做。"}},
	InviteExpired: {410, false, ExitNotAllowed,
		words{"The passcode has expired", "It was good until {until}.", "Ask for a new passcode."},
		words{"口令已过期", "有效期到 {until}。", "请对方发一个新口令。"}},
	InviteUsed: {410, false, ExitConflict,
		words{"The passcode is used up", "It was good for {uses} uses.", "Ask for a new passcode."},
		words{"口令已被用完", "它只能使用 {uses} 次。", "请对方发一个新口令。"}},
	InviteRevoked: {410, false, ExitNotAllowed,
		words{"The passcode was revoked", "", "Ask for a new passcode."},
		words{"口令已被撤回", "", "请对方发一个新口令。"}},
	Removed: {403, false, ExitNotAllowed,
		words{"You were removed from this group", "", "Ask an admin to invite you again: an older passcode no longer works."},
		words{"你已被移出这个群", "", "请管理员重新邀请你：旧口令已不能使用。"}},
	Declined: {403, false, ExitNotAllowed,
		words{"The request was declined", "", "Talk to the person who declined."},
		words{"请求被拒绝", "", "请与拒绝的人沟通。"}},
	NoIdentity: {409, false, ExitFailure,
		words{"There is no identity here yet", "", "Run mutuals init."},
		words{"这里还没有账号", "", "运行 mutuals init。"}},
	PasscodeMalformed: {400, false, ExitUsage,
		words{"There is no passcode in this text", "", "Copy the whole message that holds the passcode and paste it again."},
		words{"这段文字里没有口令", "", "请复制含有口令的整条消息，再粘贴一次。"}},
	PasscodeCutOff: {400, false, ExitUsage,
		words{"The passcode is cut off", "It ends after part {part}.", "Copy the whole message, to its end, and paste it again."},
		words{"口令不完整", "它在第 {part} 段之后断掉了。", "请完整复制整条消息，再粘贴一次。"}},
	PasscodeMistyped: {400, false, ExitUsage,
		words{"The passcode is mistyped", "Part {part} ({letters}) is wrong.", "Compare that part with the original, letter by letter."},
		words{"口令有错字", "第 {part} 段（{letters}）有误。", "请把这一段与原文逐字核对。"}},
	PasscodeNewer: {400, false, ExitFailure,
		words{"The passcode needs a newer version of mutuals", "", "Update mutuals, then paste it again."},
		words{"这个口令需要更新版本的 mutuals", "", "请更新 mutuals 后再粘贴。"}},
	AlreadyMember: {409, false, ExitConflict,
		words{"Already a member of this group", "", "Open the group: mutuals log GROUP."},
		words{"已经是群成员", "", "打开这个群：mutuals log GROUP。"}},
	Revoked: {403, false, ExitNotAllowed,
		words{"This device was ended", "Its account revoked it.", "Link this machine anew from another device of yours, in a new home."},
		words{"此设备已失效", "账号已将其吊销。", "请在新的目录中，用你的另一台设备重新关联这台机器。"}},
	Pending: {409, true, ExitConflict,
		words{"The request waits for a yes", "", "Wait until a member has accepted it."},
		words{"请求正在等待同意", "", "请等待成员同意。"}},
	ClockWrong: {409, true, ExitFailure,
		words{"This machine's clock seems to be wrong", "It differs from others' by {difference}.", "Set the clock, then try again."},
		words{"这台机器的时钟似乎不对", "与其他人相差 {difference}。", "请校准时钟后再试。"}},
	NotFound: {404, false, ExitNotFound,
		words{"Not found", "There is no such {what} here.", "List what there is and take its id from there."},
		words{"没有找到", "本机没有这一项。", "请先列出已有的内容，再使用其中的 id。"}},
	NotAllowed: {403, false, ExitNotAllowed,
		words{"Not allowed", "", "Check with mutuals status who you are here."},
		words{"不允许", "", "用 mutuals status 查看你在这里的身份。"}},
	Unauthorized: {401, false, ExitNotAllowed,
		words{"Not signed in", "", "Send the token of api.json as: Authorization: Bearer TOKEN."},
		words{"未登录", "", "请带上 api.json 中的令牌：Authorization: Bearer TOKEN。"}},
	BadRequest: {400, false, ExitUsage,
		words{"The request is not understood", "", "See the command's --help; a program compares its request with /api/v1/openapi.json."},
		words{"无法理解这个请求", "", "请查看命令的 --help；程序请对照 /api/v1/openapi.json。"}},
	RateLimited: {429, true, ExitNetwork,
		words{"Too many requests", "", "Wait as long as Retry-After says, then try again."},
		words{"请求过多", "", "请按 Retry-After 等待后再试。"}},
	Timeout: {504, true, ExitNetwork,
		words{"It took too long", "", "Try again."},
		words{"超时", "", "请再试一次。"}},
	DiskFull: {507, true, ExitFailure,
		words{"The disk is full", "Nothing is written while less than 128 MiB are free; what is here can be read.", "Free some space, then try again."},
		words{"磁盘已满", "可用空间不足 128 MiB 时不会写入任何内容；已有的内容仍可读取。", "请腾出空间后再试。"}},
	Internal: {500, false, ExitFailure,
		words{"Something went wrong inside mutuals", "The daemon's log says more.", "Run mutuals doctor."},
		words{"mutuals 内部出错", "守护进程的日志里有详情。", "运行 mutuals doctor。"}},
	Locked: {423, true, ExitLocked,
		words{"The keys are locked", "", "Unlock them with the passphrase, then try again."},
		words{"密钥已锁定", "", "请用密码解锁后再试。"}},
	NotSynced: {409, true, ExitNetwork,
		words{"This group is not complete here yet", "", "Wait until its history has arrived, then try again."},
		words{"这个群在本机还不完整", "", "等历史同步完成后再试。"}},
	TooLarge: {413, false, ExitUsage,
		words{"Too large", "At most {max}.", "Make it smaller or send it in parts."},
		words{"太大了", "最多 {max}。", "请缩小或分几次发送。"}},
	KeyMissing: {409, true, ExitNetwork,
		words{"The key to this has not arrived yet", "", "Wait until another member is online, then try again."},
		words{"密钥尚未收到", "", "等其他成员上线后再试。"}},
	PeerUnreachable: {503, true, ExitNetwork,
		words{"Nobody who could answer was reached", "", "Ask the inviter or a member to come online, then try again."},
		words{"联系不到可以回应的人", "", "请邀请人或群成员上线后再试。"}},
	IdempotencyConflict: {409, false, ExitConflict,
		words{"This Idempotency-Key was used for another request", "", "Use a new key."},
		words{"此 Idempotency-Key 已用于另一个请求", "", "请换一个新的键。"}},
	CursorInvalid: {400, false, ExitUsage,
		words{"The cursor is not valid", "", "Start again without a cursor."},
		words{"游标无效", "", "请不带游标重新开始。"}},
	UpdateNeeded: {409, false, ExitFailure,
		words{"This needs a newer version of mutuals", "", "Update mutuals."},
		words{"这需要更新版本的 mutuals", "", "请更新 mutuals。"}},
	ProofInvalid: {422, false, ExitFailure,
		words{"The proof does not hold", "Operation {where} of it (0: the proof as a whole): {why}.", "Ask for the file again, unchanged."},
		words{"证明不成立", "其中第 {where} 个操作（0 表示整个证明）：{why}。", "请重新索取未经改动的文件。"}},
	OwnerStays: {403, false, ExitNotAllowed,
		words{"The owner cannot leave", "A group always has an owner.", "Hand the group over first: mutuals group transfer GROUP MEMBER; leave once they have accepted."},
		words{"群主不能退群", "群里必须有群主。", "请先转让群：mutuals group transfer GROUP MEMBER；对方接受后再退群。"}},
	CapTooLow: {409, false, ExitConflict,
		words{"There are more members than that", "{taken} seats are taken, so the cap cannot be {cap}.", "Set a higher cap, or remove members first."},
		words{"成员数超过了这个上限", "已有 {taken} 个名额被占用，上限不能是 {cap}。", "请设置更高的上限，或先移出成员。"}},
	NoSuccession: {409, true, ExitNotAllowed,
		words{"Admins cannot elect an owner now", "It is possible from {from}, unless the owner is heard of before.", "Talk to the owner; only the owner can set the days of silence: mutuals group set GROUP --succeed-days N."},
		words{"现在还不能由管理员推选群主", "如果群主在那之前没有动静，从 {from} 起可以推选。", "请联系群主；只有群主能设置沉默天数：mutuals group set GROUP --succeed-days N。"}},
	DirectConversation: {403, false, ExitNotAllowed,
		words{"A conversation of two has none of this", "It has no invites, ranks, removals, rules or other members.", "Make a group for more people: mutuals group create NAME."},
		words{"两个人的对话没有这些", "它没有口令、角色、移出、规则，也没有其他成员。", "想和更多人聊，请建群：mutuals group create NAME。"}},
	OtherLeft: {409, false, ExitConflict,
		words{"The other has left this conversation", "Nobody would read it.", "Begin a new one: mutuals direct WHO."},
		words{"对方已离开这个对话", "没有人会看到这条消息。", "重新开始：mutuals direct WHO。"}},
	OnlyCopy: {409, true, ExitConflict,
		words{"Something you wrote is on this machine alone", "Nobody else has reported {count} of your messages or changes yet, in {groups}.", "Leave it on until somebody has them (mutuals group list), or stop it anyway: mutuals down --force."},
		words{"你写的内容有一部分只在这台机器上", "{groups} 中还有 {count} 条消息或改动没有其他人保存。", "请等到有人保存后再停止（mutuals group list），或者直接停止：mutuals down --force。"}},
	DevicesFull: {409, false, ExitConflict,
		words{"Your account has as many devices as it may have", "It has five. The one not seen for longest is {device}.", "Revoke one first: mutuals devices list, then mutuals devices revoke DEVICE."},
		words{"账号的设备数已达上限", "已有五台设备。最久没有出现的是 {device}。", "请先吊销一台：mutuals devices list，然后 mutuals devices revoke DEVICE。"}},
	LinkCodeBad: {400, false, ExitUsage,
		words{"There is no intact link code in this text", "", "Run mutuals devices link on your other device, and copy or scan the whole code it shows."},
		words{"这段文字里没有完整的关联码", "", "在你的另一台设备上运行 mutuals devices link，并完整复制或扫描它显示的关联码。"}},
	LinkCodeExpired: {410, false, ExitNotAllowed,
		words{"The link code has expired", "A code is good for ten minutes, and for one device.", "Run mutuals devices link on your other device for a new one."},
		words{"关联码已过期", "关联码十分钟内有效，只能用于一台设备。", "在你的另一台设备上运行 mutuals devices link 获取新的关联码。"}},
	LinkEnded: {409, true, ExitConflict,
		words{"The other device ended the linking", "", "If a wrong number was typed, begin again here with the same code. If it was used or is dead, run mutuals devices link there again, and use the new code here."},
		words{"另一台设备结束了关联", "", "如果只是数字输错了，请在这里用同一个关联码重新开始；如果关联码已用过或已失效，请在那台设备上重新运行 mutuals devices link，并在这里使用新的关联码。"}},
	NumberWrong: {403, true, ExitNotAllowed,
		words{"That is not the number the new device shows", "", "Start again on the new device with the same code, and type the number it shows then; after three tries the code is dead."},
		words{"这不是新设备上显示的数字", "", "请在新设备上用同一个关联码重新开始，再输入它显示的数字；三次之后关联码失效。"}},
	AdmissionVoid: {403, false, ExitNotAllowed,
		words{"How you came into this group does not count", "Whoever let you in was out already, the passcode was revoked, or others had used it up. mutuals group show GROUP says which.", "Ask a member for a new passcode, then run mutuals join."},
		words{"你的入群无效", "让你入群的人当时已不在群里，或口令已撤销，或名额已被别人用完。mutuals group show GROUP 会说明是哪一种。", "向群成员要一个新口令，然后运行 mutuals join。"}},
	NoHarbor: {409, false, ExitNotAllowed,
		words{"No harbor lets people in here", "A sleep-proof code needs a harbor of the group with the right to sponsor.", "The owner appoints one: mutuals harbor add GROUP WHO --rights store,sponsor."},
		words{"本群没有可以代为接纳新成员的港湾", "免等待口令需要一个有接纳权（sponsor）的港湾。", "请群主任命：mutuals harbor add GROUP WHO --rights store,sponsor。"}},
	Cloned: {409, false, ExitConflict,
		words{"A copy of this home writes too", "Two nodes write as one device, so this one has stopped in this group.", "End one of the two for good and delete its home; mutuals doctor says more."},
		words{"这个主目录的另一份拷贝也在写", "两个节点以同一台设备的身份写入，本节点已在这个群停止写入。", "请彻底停用其中一个并删除它的主目录；mutuals doctor 有更多说明。"}},
	FileExists: {409, false, ExitConflict,
		words{"There is a file of that name already", "It is not overwritten: {file}.", "Give another name, or remove that file."},
		words{"已有同名文件", "不会覆盖它：{file}。", "请换一个文件名，或先删除那个文件。"}},
	BackupKey: {403, false, ExitNotAllowed,
		words{"This does not open the backup", "", "Check the passphrase, or the 24 words: a backup opens with the words of its own account."},
		words{"打不开这个备份", "", "请检查口令短语或 24 个单词：备份只能用它自己账号的单词打开。"}},
	BackupBad: {422, false, ExitFailure,
		words{"The backup is damaged, or no backup", "Nothing of it was used.", "Take another copy of the file, or an older backup."},
		words{"备份已损坏，或不是备份", "没有使用其中的任何内容。", "请换用该文件的另一份拷贝，或更早的备份。"}},
	BackupCutOff: {422, false, ExitFailure,
		words{"The backup is cut off", "Its end is missing; nothing of it was used.", "Copy the whole file again, or take an older backup."},
		words{"备份不完整", "文件结尾缺失；没有使用其中的任何内容。", "请重新复制整个文件，或换用更早的备份。"}},
	BackupForeign: {403, false, ExitNotAllowed,
		words{"The backup is of another account", "It is not of the account that these words are.", "Give the words of the account that made it."},
		words{"这是另一个账号的备份", "它不属于这些单词对应的账号。", "请使用制作该备份的账号的单词。"}},
	DiskReadOnly: {507, true, ExitFailure,
		words{"The disk takes no writes", "Its file system is read-only; what is here can be read.", "Make it writable, then try again; mutuals doctor says more."},
		words{"磁盘不可写", "文件系统是只读的；已有的内容仍可读取。", "请先让它可写再试；mutuals doctor 有更多说明。"}},
	ExportInvalid: {422, false, ExitFailure,
		words{"The export does not hold", "Line {line}: {why}.", "Ask for the file again, unchanged."},
		words{"导出文件不成立", "第 {line} 行：{why}。", "请重新索取未经改动的文件。"}},
	ReceiptsOff: {403, false, ExitNotAllowed,
		words{"You do not take read receipts", "Who wants to see who has read their messages shows what they read themselves.", "Switch them on, for you and for what you read: mutuals config set receipts on."},
		words{"你没有启用已读回执", "想看到谁读了自己的消息，就要让别人看到自己读了什么。", "启用后双方互相可见：mutuals config set receipts on。"}},
	GroupUnreadable: {500, false, ExitFailure,
		words{"This group cannot be read from the disk", "{why}.", "Nothing of it is written over. Stop the node (mutuals down), copy the home, then run mutualsd store repair."},
		words{"无法从磁盘读出这个群", "{why}。", "它的数据不会被覆盖。请停止节点（mutuals down），先拷贝主目录，再运行 mutualsd store repair。"}},
}
