package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newInit(c *cli) *cobra.Command {
	var name string
	var recover, noWait bool
	var link string
	cmd := &cobra.Command{
		Use:   "init [--name NAME] [--recover] | init --link CODE|-",
		Short: "Make an account, take one up again from its words, or link this device to one",
		Long: `Make an account, or take one up again from its words (--recover), which this
device then belongs to.

With --link this is a further device of an account you have: run mutuals devices
link on one of its devices, and give the code it shows here, or - to paste it.
A number is shown, which you type there; then your groups and follows arrive.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			client, err := c.connect(ctx)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("link") { // an empty one is a code that was lost on the way, no wish for a new account
				return c.beDevice(ctx, link, noWait)
			}
			in := api.IdentityCreate{Name: name}
			if in.Name == "" {
				if !c.interactive() {
					return usage("add --name NAME", "a name is needed")
				}
				if in.Name, err = c.ask(c.inWords("Your name: ", "你的名字：")); err != nil {
					return err
				}
			}
			if recover {
				words, err := c.readSecret(c.askWords())
				if err != nil {
					return err
				}
				in.Words = strings.Join(strings.Fields(words), " ")
			}
			id, err := client.CreateIdentity(ctx, in)
			if err != nil {
				return err
			}
			err = show(c, id, func(id api.Identity) {
				c.facts(c.inWords("account", "账号"), id.Account.String(), c.inWords("device", "设备"), id.Device.String())
			})
			if err != nil || c.json {
				return err
			}
			if id.Words != "" {
				c.note("%s", c.inWords("\nThese 24 words are the account. Write them on paper, in this order;\nwhoever has them is you, and without them it cannot be brought back:\n",
					"\n这 24 个单词就是你的账号。请按顺序抄在纸上；\n谁拿到它们谁就是你，没有它们就无法找回账号：\n"))
				c.tellWords(id.Words)
				if c.interactive() {
					done, err := c.agree(c.inWords("\nWritten down? They are then erased from this machine.", "\n抄好了吗？确认后它们会从这台机器上抹去。"))
					if err != nil {
						return err
					}
					if done {
						_, err := client.Words(ctx, true)
						return err
					}
				}
				c.note("%s", c.inWords("\nLater: mutuals id words shows them again, mutuals id words --confirm erases them here.",
					"\n以后：mutuals id words 再次显示，mutuals id words --confirm 从这里抹去。"))
			}
			if recover {
				c.note("%s", c.inWords("\nThis is a new device of your account, and it knows nobody yet. Follow a friend's card\n(mutuals follow CARD), or paste a passcode of one of your groups (mutuals join PASSCODE):\nwhoever shares a group with you lets this device back in. Whom you follow, others say;\nlook at it (mutuals follows) and confirm it (mutuals follows --confirm).\nThen end the devices you lost: mutuals devices list, mutuals devices revoke DEVICE.",
					"\n这是你账号的一台新设备，它还不认识任何人。请关注一位朋友的名片（mutuals follow 名片），\n或粘贴你所在群的口令（mutuals join 口令）：和你同群的人会让这台设备回到群里。\n你关注了谁由别人告知：用 mutuals follows 查看，用 mutuals follows --confirm 确认。\n然后吊销丢失的设备：mutuals devices list，mutuals devices revoke 设备。"))
				return nil
			}
			c.note("%s", c.inWords("Next: mutuals group create NAME, or mutuals join PASSCODE", "下一步：mutuals group create 群名，或 mutuals join 口令"))
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what others see; at most 64 characters")
	cmd.Flags().BoolVar(&recover, "recover", false, "take up an account from its 24 words, read from standard input")
	cmd.Flags().StringVar(&link, "link", "", "link code of an account you have, or - to read it from standard input")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "with --link: do not wait for the number to be typed")
	cmd.MarkFlagsMutuallyExclusive("link", "recover")
	cmd.MarkFlagsMutuallyExclusive("link", "name")
	return cmd
}

// askWords is how the words are asked for.
func (c *cli) askWords() string {
	return c.inWords("Your 24 words (not shown): ", "你的 24 个单词（不显示）：")
}

// tellWords writes the 24 words numbered, in four columns.
func (c *cli) tellWords(words string) {
	var line strings.Builder
	for i, w := range strings.Fields(words) {
		fmt.Fprintf(&line, "%2d %-10s", i+1, w)
		if i%4 == 3 {
			c.say("%s", strings.TrimRight(line.String(), " "))
			line.Reset()
		}
	}
	if line.Len() > 0 {
		c.say("%s", line.String())
	}
}
