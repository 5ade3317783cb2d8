package api

import (
	"time"

	"mutuals/identity/wire"
)

// Kinds of task.
const (
	TaskJoin     = "join"     // entering by passcode
	TaskOffer    = "offer"    // a seat offered to a mutual
	TaskSync     = "sync"     // history that follows a join
	TaskPrune    = "prune"    // a branch that is removed
	TaskTransfer = "transfer" // a group offered to its next owner
	TaskSucceed  = "succeed"  // admins electing an owner
	TaskLink     = "link"     // a second device of an account
	TaskBackup   = "backup"   // a backup that is written
	TaskExport   = "export"   // a group that is written for others
	TaskVerify   = "verify"   // a backup or an export that is read
	TaskRestore  = "restore"  // a home that is made from a backup
)

// States of a task.
const (
	TaskRunning   = "running"
	TaskWaiting   = "waiting" // for a person
	TaskDone      = "done"
	TaskFailed    = "failed"
	TaskCancelled = "cancelled"
)

// Stages of a join, in order; the last four end it, of which pending may
// still go on.
const (
	StageReading    = "reading"
	StageFinding    = "finding"
	StageAsking     = "asking"
	StageJoined     = "joined"     // state done
	StageWaitlisted = "waitlisted" // state done
	StagePending    = "pending"    // state waiting
	StageRefused    = "refused"    // state failed
)

// Stages of an offer, of a seat or of a group. A seat's ends as a join does, a
// group's with accepted. Declined is also where a pending join may end.
const (
	StageOffered  = "offered"
	StageAccepted = "accepted"
	StageDeclined = "declined" // state failed
)

// Stages of a succession.
const (
	StageProposed = "proposed" // progress counts the admins who said yes
	StageElected  = "elected"  // state done
)

// Stages of a branch that is removed.
const (
	StageRemoving = "removing"
	StageRemoved  = "removed" // state done
)

// Stages of linking a device, where the code is shown: open, number each time a
// device knocks, certifying, linked. On the new device: finding, comparing,
// certifying, linked.
const (
	StageOpen       = "open"       // state waiting: for a device that knocks
	StageNumber     = "number"     // state waiting: for the person to type what the new device shows
	StageComparing  = "comparing"  // result.number is to be typed on the other device
	StageCertifying = "certifying" // the number was right
	StageLinked     = "linked"     // state done
)

// Stages of a backup, of its verification, and of a restore, which verifies
// first.
const (
	StageWriting   = "writing"
	StageWritten   = "written" // state done
	StageVerifying = "verifying"
	StageVerified  = "verified" // state done
	StageRestoring = "restoring"
	StageRestored  = "restored" // state done
)

// Task is work that outlives a request.
type Task struct {
	ID       string      `json:"id"`
	Kind     string      `json:"kind" enum:"join,offer,sync,prune,transfer,succeed,link,backup,export,verify,restore"`
	State    string      `json:"state" enum:"running,waiting,done,failed,cancelled"`
	Stage    string      `json:"stage"`
	Progress Progress    `json:"progress"`
	Result   *TaskResult `json:"result,omitempty"`
	Problem  *Problem    `json:"problem,omitempty"`
	Tried    []Attempt   `json:"tried,omitempty" doc:"what was tried, newest last"`
	At       time.Time   `json:"at,omitzero" doc:"when it began"`
}

// Over tells whether nothing more will happen to the task.
func (t Task) Over() bool {
	return t.State == TaskDone || t.State == TaskFailed || t.State == TaskCancelled
}

// Progress counts; Total 0 means that it is not known.
type Progress struct {
	Done  int    `json:"done"`
	Total int    `json:"total"`
	Unit  string `json:"unit" doc:"what is counted, as messages"`
}

// TaskResult names what a task made.
type TaskResult struct {
	Group   wire.GroupID   `json:"group,omitzero"`
	Account wire.AccountID `json:"account,omitzero"`
	Device  wire.DeviceID  `json:"device,omitzero" doc:"of a link: the new device"`
	Backup  *Backup        `json:"backup,omitempty" doc:"of a backup, its verification or a restore"`
	Export  *Export        `json:"export,omitempty" doc:"of an export or its verification"`
	Number  string         `json:"number,omitempty" doc:"of a link, on the new device: what to type on the other"`
}

// Attempt is one address or way that a task tried.
type Attempt struct {
	Way   string `json:"way" doc:"address or means"`
	Error string `json:"error,omitempty" doc:"empty when it worked"`
}
