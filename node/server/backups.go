package server

import (
	"context"
	"net/http"

	"mutuals/node/api"
)

func (s *Server) backupVerbs() {
	handle(s, verb{method: "POST", path: "/backups", id: "createBackup", doc: "Write everything this account has here but for its keys into an encrypted file", status: http.StatusAccepted},
		func(ctx context.Context, in *struct{ Body api.BackupCreate }) (*body[api.Task], error) {
			return reply(s.node.Backup(ctx, in.Body))
		})
	handle(s, verb{method: "POST", path: "/backups/verify", id: "verifyBackup", doc: "Read a backup to its end and tell what is in it", status: http.StatusAccepted, need: needNothing},
		func(ctx context.Context, in *struct{ Body api.BackupOpen }) (*body[api.Task], error) {
			return reply(s.node.VerifyBackup(ctx, in.Body))
		})
	handle(s, verb{method: "POST", path: "/backups/restore", id: "restoreBackup", doc: "Make this home a new device of an account, with what a backup of it holds", status: http.StatusAccepted, need: needNothing},
		func(ctx context.Context, in *struct{ Body api.BackupRestore }) (*body[api.Task], error) {
			return reply(s.node.RestoreBackup(ctx, in.Body))
		})
}
